import { closeIterator } from '../../core/close-iterator.js';
import { isThenable } from '../../core/is-thenable.js';
import { keyOf, keysOf } from '../../core/item-keys.js';
import type { Job, JobProducer } from '../../core/job.js';
import { laneOf, type SubmitOptions } from '../../core/submit-options.js';
import type { ClassifiedSource } from '../../core/sources.js';
import type { TimeSlices } from '../../core/time-slices.js';
import { toError } from '../../core/to-error.js';
import { ChunkBuilder } from './chunk-builder.js';
import type { ItemHead } from './chunk-format.js';
import type { ChunkIds } from './chunk-ids.js';
import type { ChunkQueue, NewChunk } from './chunk-queue.js';
import { dueAt } from './due-time.js';
import type { DurableType } from './durable-type.js';
import { itemText } from './item-text.js';
import type { JobRecords, SourceEndRecord } from './job-records.js';

/** Chunks that go to the store in one call. */
const CHUNKS_AT_ONCE = 8;

/** What a submission works with. */
export interface SubmissionSetting {
  readonly records: JobRecords;
  readonly ids: ChunkIds;
  readonly maxItemBytes: number;
  /** Milliseconds since the Unix epoch before which nothing of it starts; 0: at once. */
  readonly dueAtMs: number;
  readonly slices: TimeSlices;
}

/**
 * Brings the items of one job into the store, in chunks. The job's record tells what of it is there, so that whoever dies
 * in the middle leaves a job that says how far it came.
 */
export class StoredSubmission implements JobProducer {
  private builder: ChunkBuilder;
  private ready: { readonly queue: ChunkQueue; readonly chunk: NewChunk; readonly items: number }[] = [];
  private isStopped = false;
  /** Items that have been read, the duplicates among them. */
  private read = 0;
  private readonly dueAtMs: number;

  constructor(
    private readonly job: Job,
    private readonly type: DurableType,
    private readonly options: SubmitOptions,
    private readonly setting: SubmissionSetting,
  ) {
    this.builder = new ChunkBuilder(type.limits);
    this.dueAtMs = setting.dueAtMs === 0 ? 0 : dueAt(setting.dueAtMs);
    job.producer = this;
  }

  stop(): void {
    this.isStopped = true;
  }

  /**
   * For an item and an array. All payloads are looked at before anything is stored.
   *
   * @throws InvalidPayloadError, ItemTooLargeError, InvalidOptionsError, and nothing is stored; what the store throws
   */
  async storeAll(work: Exclude<ClassifiedSource<unknown>, { kind: 'stream' }>): Promise<void> {
    const payloads = work.kind === 'item' ? [work.payload] : work.payloads;
    const { uniqueKey, orderKey } = this.options;
    const uniqueKeys = uniqueKey === undefined ? undefined : keysOf('uniqueKey', uniqueKey, work);
    const orderKeys = orderKey === undefined ? undefined : keysOf('orderKey', orderKey, work);
    const { records } = this.setting;
    const texts = await this.textsOf(payloads);
    await records.create(this.job.id, this.job.type);
    try {
      for (const [place, text] of texts.entries()) {
        if (this.isStopped) break;
        this.addText(text, uniqueKeys?.[place], orderKeys?.[place]);
        if (this.ready.length >= CHUNKS_AT_ONCE) await this.flush();
      }
      await this.finish(work.kind === 'array' && work.failure !== undefined ? work.failure : undefined);
    } catch (error) {
      await this.seal({ kind: 'interrupted' }).catch(() => undefined);
      throw error;
    }
  }

  private async textsOf(payloads: readonly unknown[]): Promise<string[]> {
    const { maxItemBytes, slices } = this.setting;
    const texts: string[] = [];
    for (const [place, payload] of payloads.entries()) {
      texts.push(itemText(payload, this.type.type, place, maxItemBytes));
      if (slices.spend(1)) await slices.pause();
    }
    return texts;
  }

  /** Reads a stream to its end, or until it is stopped. Never rejects: what goes wrong ends the job. */
  async storeStream(iterator: Iterator<unknown> | AsyncIterator<unknown>): Promise<void> {
    try {
      await this.setting.records.create(this.job.id, this.job.type);
      const isRead = await this.readAll(iterator);
      await this.flush(true);
      await this.seal({ kind: isRead ? 'reached' : 'interrupted' });
    } catch (error) {
      void closeIterator(iterator);
      await this.failStream(toError(error));
    }
  }

  private async failStream(error: Error): Promise<void> {
    try {
      await this.flush(true);
      await this.seal({ kind: 'failed', message: error.message });
    } catch {
      // The store is away: the record stays as it is, and this process's part of the job ends with what went wrong.
      this.job.seal(error);
    }
  }

  /** @returns whether the source was read to its end */
  private async readAll(iterator: Iterator<unknown> | AsyncIterator<unknown>): Promise<boolean> {
    while (!this.isStopped) {
      const next = iterator.next();
      // A source that has to be waited for must not hold back what it has given already.
      if (isThenable(next) && this.pending > 0) await this.flushUnless(next);
      const { done, value } = await next;
      if (done === true) return !this.isStopped;
      this.addPayload(value);
      if (this.ready.length >= CHUNKS_AT_ONCE) await this.flush();
    }
    void closeIterator(iterator);
    return false;
  }

  private get pending(): number {
    return this.builder.size + this.ready.length;
  }

  /** Stores what there is, unless the next item is there within a turn of the event loop. */
  private async flushUnless(next: PromiseLike<unknown>): Promise<void> {
    const isThere = await Promise.race([
      next.then(
        () => true,
        () => true,
      ),
      new Promise<false>((resolve) => setImmediate(() => resolve(false))),
    ]);
    if (!isThere) await this.flush(true);
  }

  private addPayload(payload: unknown): void {
    const place = this.read++;
    const { uniqueKey, orderKey } = this.options;
    const text = itemText(payload, this.type.type, place, this.setting.maxItemBytes);
    this.addText(
      text,
      uniqueKey === undefined ? undefined : keyOf('uniqueKey', uniqueKey, payload, place),
      orderKey === undefined ? undefined : keyOf('orderKey', orderKey, payload, place),
    );
  }

  /** Items with a key travel alone: the store knows keys and orders of chunks only. */
  private addText(text: string, uniqueKey: string | undefined, orderKey: string | undefined): void {
    const isAlone = uniqueKey !== undefined || orderKey !== undefined;
    if (this.builder.size > 0 && (isAlone || this.builder.isFullFor(text))) this.close();
    const head: ItemHead | undefined = uniqueKey === undefined ? undefined : { u: 1 };
    this.builder.add(text, this.job.id, this.job.accept(1), true, head);
    if (isAlone) this.close(uniqueKey, orderKey);
  }

  private close(uniqueKey?: string, orderKey?: string): void {
    const { builder, dueAtMs } = this;
    const { queues } = this.type;
    const queue = orderKey === undefined ? queues.ofLane(laneOf(this.options)) : queues.ofKey(orderKey);
    const key =
      uniqueKey === undefined ? undefined : { id: `u.${uniqueKey}`, heldForMs: this.options.uniqueForMs };
    const id = this.setting.ids.next(builder.size);
    this.ready.push({
      queue,
      chunk: { id, text: builder.build(), dueAtMs, isRetry: false, key },
      items: builder.size,
    });
    this.builder = new ChunkBuilder(this.type.limits);
  }

  private async finish(failure: Error | undefined): Promise<void> {
    await this.flush(true);
    if (failure !== undefined) await this.seal({ kind: 'failed', message: failure.message });
    else await this.seal({ kind: this.isStopped ? 'interrupted' : 'reached' });
  }

  private async flush(all = false): Promise<void> {
    if (all && this.builder.size > 0) this.close();
    const { ready } = this;
    this.ready = [];
    if (ready.length === 0) return;
    if (this.options.orderKey !== undefined) await this.type.state.markOrdered();
    let accepted = 0;
    let duplicates = 0;
    for (const [queue, parts] of byQueue(ready)) {
      const ids = await queue.add(parts.map(({ chunk }) => chunk));
      for (const [place, { chunk, items }] of parts.entries()) {
        if (ids[place] === chunk.id) accepted += items;
        else duplicates += items;
      }
    }
    this.job.duplicates += duplicates;
    await this.setting.records.accept(this.job.id, accepted, duplicates);
  }

  private async seal(end: SourceEndRecord): Promise<void> {
    await this.setting.records.seal(this.job.id, end);
    this.job.producer = undefined;
  }
}

function byQueue<Part extends { readonly queue: ChunkQueue }>(
  parts: readonly Part[],
): Map<ChunkQueue, Part[]> {
  const groups = new Map<ChunkQueue, Part[]>();
  for (const part of parts) {
    const group = groups.get(part.queue);
    if (group === undefined) groups.set(part.queue, [part]);
    else group.push(part);
  }
  return groups;
}
