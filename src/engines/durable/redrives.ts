import { createHash } from 'node:crypto';
import type { Clock, Timer } from '../../core/clock.js';
import { jsonText } from '../../core/json-text.js';
import { ChunkBuilder, type ChunkLimits } from './chunk-builder.js';
import type { RunKind } from './chunk-format.js';
import type { ChunkIds } from './chunk-ids.js';
import type { NewChunk } from './chunk-queue.js';
import { groupBy } from './group-by.js';
import type { JobRecords } from './job-records.js';
import type { LetterShelf, ShelvedLetter, TakenBatch } from './letter-shelf.js';
import type { TypeQueue, TypeQueues } from './type-queues.js';

/** Milliseconds for which the same letters are not put back twice. */
const FENCE_MS = 600_000;

/** How often a process looks for what others took and did not put back, in milliseconds. */
const LOOK_MS = 30_000;

/** What redrives work with. */
export interface RedriveSetting {
  readonly limits: ChunkLimits;
  readonly queues: TypeQueues;
  readonly letters: LetterShelf;
  readonly records: JobRecords;
  readonly ids: ChunkIds;
  readonly clock: Clock;
  /** Items with order keys are about to be stored. */
  readonly markOrdered: () => Promise<void>;
  readonly troubled: (error: unknown) => void;
}

/**
 * Puts the dead letters of a worker type back into their queues. They are taken off the shelf first, in one step, so that of
 * several who redrive or discard the same one, one has it. What has been taken is kept until it is back: whoever dies in between
 * leaves it to the others.
 */
export class Redrives {
  private timer: Timer | undefined = undefined;
  private isStopped = false;

  constructor(private readonly setting: RedriveSetting) {}

  /** Begins to look for what others took and did not put back. */
  start(): void {
    void this.look();
  }

  stop(): void {
    this.isStopped = true;
    this.timer?.cancel();
  }

  private async look(): Promise<void> {
    try {
      await this.finishAbandoned();
    } catch (error) {
      // Its connections may have been closed meanwhile.
      if (!this.isStopped) this.setting.troubled(error);
    }
    if (!this.isStopped) this.timer = this.setting.clock.setTimer(() => void this.look(), LOOK_MS);
  }

  /** @returns those of the letters that it has put back: not those of others who redrive or discard them as well */
  async redrive(letters: readonly ShelvedLetter[]): Promise<readonly ShelvedLetter[]> {
    const batch = await this.setting.letters.taken.take(letters);
    return batch.letters.length === 0 ? [] : this.putBack(batch);
  }

  /** Puts back what others took and did not. @returns those letters */
  async finishAbandoned(): Promise<readonly ShelvedLetter[]> {
    const finished: ShelvedLetter[] = [];
    for (const batch of await this.setting.letters.taken.takeOver()) {
      finished.push(...(await this.putBack(batch)));
    }
    return finished;
  }

  private async putBack(batch: TakenBatch): Promise<readonly ShelvedLetter[]> {
    const { taken } = this.setting.letters;
    try {
      if (!batch.isReopened) await this.reopen(batch);
      const stored = await this.store(batch);
      await taken.forget(batch.id);
      return stored;
    } catch (error) {
      taken.abandon(batch.id).catch(() => {});
      throw error;
    }
  }

  /** Only before the first of its items may run, and die, again: the records would take those for open. */
  private async reopen({ id, letters }: TakenBatch): Promise<void> {
    const { records } = this.setting;
    const tracked = letters.filter(({ isTracked }) => isTracked);
    for (const [jobId, ofJob] of groupBy(tracked, (letter) => letter.jobId)) {
      await records.reopen(
        jobId,
        ofJob.map(({ index }) => index),
      );
    }
    await this.setting.letters.taken.markReopened(id);
  }

  private async store({ id, letters }: TakenBatch): Promise<readonly ShelvedLetter[]> {
    const { queues, records, markOrdered } = this.setting;
    const cancelled = await records.cancelled([...new Set(letters.map(({ jobId }) => jobId))]);
    const stored: ShelvedLetter[] = [];
    for (const [source, ofQueue] of groupBy(letters, ({ queue }) => queues.ofName(queue))) {
      if (source.isOrdered) await markOrdered();
      const chunks = this.chunksOf(source, ofQueue, { id, cancelled });
      const ids = await source.queue.add(chunks.map(({ chunk }) => chunk));
      stored.push(...chunks.flatMap(({ chunk, of }, place) => (ids[place] === chunk.id ? of : [])));
    }
    return stored;
  }

  /** Chunks of the same letters, whoever makes them, are not stored again; another process may pack them in another way. */
  private chunksOf(
    { isOrdered }: TypeQueue,
    letters: readonly ShelvedLetter[],
    batch: { readonly id: string; readonly cancelled: ReadonlySet<string> },
  ): { readonly chunk: NewChunk; readonly of: readonly ShelvedLetter[] }[] {
    const packed: { readonly builder: ChunkBuilder; readonly of: ShelvedLetter[] }[] = [];
    for (const letter of letters) {
      const text = jsonText(letter.payload);
      let last = packed.at(-1);
      // Items with an order key are alone in their chunks.
      if (last === undefined || isOrdered || last.builder.isFullFor(text)) {
        packed.push((last = { builder: new ChunkBuilder(this.setting.limits), of: [] }));
      }
      const { jobId, index, isTracked } = letter;
      last.builder.add(text, kindOf(isTracked, batch.cancelled.has(jobId)), jobId, index);
      last.of.push(letter);
    }
    return packed.map(({ builder, of }) => ({ of, chunk: this.chunkOf(builder, fenceOf(batch.id, of)) }));
  }

  private chunkOf(builder: ChunkBuilder, fence: string): NewChunk {
    return {
      id: this.setting.ids.next(builder.size),
      text: builder.build(),
      dueAtMs: 0,
      isRetry: false,
      goesFirst: false,
      key: { id: fence, heldForMs: FENCE_MS },
    };
  }
}

/** Of the letters themselves: a chunk of others, by whoever packs them in another way, is not taken for theirs. */
function fenceOf(batchId: string, letters: readonly ShelvedLetter[]): string {
  const sequences = letters.map(({ sequence }) => sequence).join(' ');
  return createHash('sha256').update(`${batchId} ${sequences}`).digest('base64url');
}

/** A cancel does not reach what is redriven after it. */
function kindOf(isTracked: boolean, isCancelled: boolean): RunKind {
  if (!isTracked) return 'loose';
  return isCancelled ? 'redriven' : 'job';
}
