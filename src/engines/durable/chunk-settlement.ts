import type { Clock } from '../../core/clock.js';
import { byQueue } from './by-queue.js';
import type { ChunkLimits } from './chunk-builder.js';
import type { ChunkIds } from './chunk-ids.js';
import type { ChunkQueue, Lease, NewChunk } from './chunk-queue.js';
import type { JobRecords } from './job-records.js';
import type { ChunkPart, DeadInChunk, LeasedChunk } from './leased-chunk.js';
import { makeRemainder } from './remainder.js';
import { storableDead } from './payload-text.js';
import { deathsOf } from './suspects.js';

/** How long chunks wait for others with failed items, so that these travel on together, in milliseconds. */
const GATHER_MS = 50;

/** How long to wait before a store that did not answer is asked again, in milliseconds. */
const AGAIN_MS = 500;

/** What a settlement works with. */
export interface SettlementSetting {
  readonly clock: Clock;
  readonly limits: ChunkLimits;
  readonly ids: ChunkIds;
  readonly records: JobRecords;
  /** Keeps dead items, once for the same `diedAtMs`. @returns what tells of them, to be called when all is written */
  readonly bury: (dead: readonly DeadInChunk[], diedAtMs: number) => Promise<() => void>;
  /** The chunk is no more of this process: it was settled, or its lease is lost. */
  readonly chunkEnded: (chunk: LeasedChunk) => void;
  /** The lease ran out before the chunk was settled. */
  readonly leaseLost: (chunk: LeasedChunk) => void;
  /** Whether the next chunk of its queue is to be leased with the end of this one; `nextLeased` is called then. */
  readonly claimsNext: (chunk: LeasedChunk) => boolean;
  readonly nextLeased: (chunk: LeasedChunk, next: Lease | undefined) => void;
  /** Items of these jobs have ended. */
  readonly recordsRaised: (jobIds: readonly string[]) => void;
  readonly troubled: (error: unknown) => void;
}

/**
 * Writes down what became of leased chunks, in the order in which nothing can be lost: what is still to do, what is dead, what
 * has ended, and at last the end of the chunk. Whoever dies in between leaves the chunk to be done again, some of it twice.
 *
 * Each step is repeated as long as the store does not answer and the lease holds; a step that was done twice was done once.
 */
export class ChunkSettlement {
  private gathering: LeasedChunk[] = [];
  private isGathering = false;
  /** Chunks of which nothing has to be written down but that all of their items are done. */
  private done: LeasedChunk[] = [];
  private isRaising = false;
  private readonly underWay = new Set<Promise<void>>();
  /** Chunks of which a part is being written down: their end has to wait for that. */
  private readonly inParts = new Set<LeasedChunk>();
  private isHurried = false;

  constructor(private readonly setting: SettlementSetting) {}

  /** All items of the chunk have an outcome. */
  settle(chunk: LeasedChunk): void {
    if (this.inParts.has(chunk)) return;
    if (!chunk.isClean) this.gather(chunk);
    else if (chunk.hasRecords) this.raise(chunk);
    else this.run(() => this.complete([chunk]));
  }

  /** What ends while the records are told of others goes together with the next call. */
  private raise(chunk: LeasedChunk): void {
    this.done.push(chunk);
    if (this.isRaising) return;
    this.isRaising = true;
    this.run(async () => {
      // What ends in the same turn is of the first call.
      await Promise.resolve();
      while (this.done.length > 0) await this.raiseAll();
      this.isRaising = false;
    });
  }

  private async raiseAll(): Promise<void> {
    const chunks = this.done;
    this.done = [];
    // It does not matter whose lease it is: that an item has ended counts once.
    if (await this.write(partsOf(chunks))) this.run(() => this.complete(chunks));
  }

  /** The items of the chunk go on in other chunks. */
  divide(chunk: LeasedChunk, into: readonly NewChunk[]): void {
    const { queue } = chunk;
    this.run(async () => {
      const held = await this.confirm(queue, [chunk]);
      if (held.length === 0) return;
      const isStored = await this.untilAnswered(held, async () => void (await queue.add(into)));
      if (isStored) await this.complete(held);
    });
  }

  /**
   * Writes down what has become of a chunk's items so far: a slow one must not keep the retries, the dead letters and the
   * progress of the others.
   */
  settlePart(chunk: LeasedChunk): void {
    if (this.inParts.has(chunk) || chunk.open === 0 || chunk.unwritten === 0) return;
    this.inParts.add(chunk);
    this.run(async () => {
      await this.writePart(chunk, chunk.takePart());
      this.inParts.delete(chunk);
      if (chunk.open > 0) return;
      if (chunk.isLost) this.setting.chunkEnded(chunk);
      else this.settle(chunk);
    });
  }

  private async writePart(chunk: LeasedChunk, part: ChunkPart): Promise<void> {
    const { queue, lease } = chunk;
    const isHeld = (await this.confirm(queue, [chunk])).length > 0;
    if (isHeld && (await this.write([{ chunk, part }]))) {
      await this.untilAnswered([chunk], () => queue.note(lease, { settled: part.settled }));
    }
  }

  /** Waits for nothing from now on: the process ends. @returns when all is written down that can be */
  async finish(): Promise<void> {
    this.isHurried = true;
    this.flush();
    while (this.underWay.size > 0) await Promise.all(this.underWay);
  }

  private gather(chunk: LeasedChunk): void {
    this.gathering.push(chunk);
    const isUrgent = this.isHurried || chunk.leaving === undefined;
    if (isUrgent) return queueMicrotask(() => this.flush());
    if (this.isGathering) return;
    this.isGathering = true;
    this.setting.clock.setTimer(() => this.flush(), GATHER_MS);
  }

  private flush(): void {
    this.isGathering = false;
    const chunks = this.gathering;
    this.gathering = [];
    for (const ofQueue of byQueue(chunks).values()) this.run(() => this.writeDown(ofQueue));
  }

  private run(work: () => Promise<void>): void {
    const done = work().finally(() => this.underWay.delete(done));
    this.underWay.add(done);
  }

  /** @param chunks all of one queue */
  private async writeDown(chunks: readonly LeasedChunk[]): Promise<void> {
    const { queue } = chunks[0]!;
    const held = await this.confirm(queue, chunks);
    if (held.length === 0) return;
    const [back, rest] = partition(held, goesBackAsItIs);
    await Promise.all(back.map((chunk) => this.giveBack(chunk)));
    if (await this.write(partsOf(rest))) await this.complete(rest);
  }

  /** @param parts those with a remainder all of one queue. @returns whether all of it is written; else the leases are lost */
  private async write(parts: readonly PartOfChunk[]): Promise<boolean> {
    const { records, recordsRaised, bury } = this.setting;
    const chunks = parts.map(({ chunk }) => chunk);
    const diedAtMs = this.setting.clock.wallNow();
    let tellOfDead: (() => void) | undefined = undefined;
    const ended = parts.flatMap(({ part }) => part.ended);
    let remainder: NewChunk[] | undefined = undefined;
    const isWritten = await this.untilAnswered(chunks, async () => {
      remainder ??= await this.remainderOf(parts);
      if (remainder.length > 0) await chunks[0]!.queue.add(remainder);
      const dead = await Promise.all(parts.map(({ chunk, part }) => storableDead(chunk, part.dead ?? [])));
      if (dead.some(({ length }) => length > 0)) tellOfDead = await bury(dead.flat(), diedAtMs);
      if (ended.length > 0) await records.raise(ended);
    });
    if (isWritten) recordsRaised(ended.map(({ jobId }) => jobId));
    (tellOfDead as (() => void) | undefined)?.();
    return isWritten;
  }

  private remainderOf(parts: readonly PartOfChunk[]): Promise<NewChunk[]> {
    const { clock, limits, ids } = this.setting;
    const leaving = parts.flatMap(({ chunk, part: { leaving: items } }) => (items ? [{ chunk, items }] : []));
    return makeRemainder(leaving, clock.wallNow(), limits, ids);
  }

  /** Prolongs the leases, so that what is written from now on is written under them. @returns the chunks that are held */
  private async confirm(queue: ChunkQueue, chunks: readonly LeasedChunk[]): Promise<readonly LeasedChunk[]> {
    let lost: readonly string[] = [];
    const isAnswered = await this.untilAnswered(chunks, async () => {
      lost = await queue.renew(chunks.map(({ lease }) => lease));
    });
    if (!isAnswered) return [];
    const [gone, held] = partition(chunks, ({ lease }) => lost.includes(lease.chunkId));
    for (const chunk of gone) this.lose(chunk);
    return held;
  }

  private async complete(chunks: readonly LeasedChunk[]): Promise<void> {
    await Promise.all(chunks.map((chunk) => this.end(chunk, () => this.completeOne(chunk))));
  }

  private async completeOne(chunk: LeasedChunk): Promise<boolean> {
    const { queue, lease } = chunk;
    const { claimsNext, nextLeased } = this.setting;
    if (!claimsNext(chunk)) return queue.complete(lease);
    const completed = await queue.completeAndLease(lease);
    if (completed.isHeld) nextLeased(chunk, completed.next);
    return completed.isHeld;
  }

  private giveBack(chunk: LeasedChunk): Promise<void> {
    const { queue, lease, leaving, size } = chunk;
    const { attempts, delayMs } = leaving![0]!;
    return this.end(chunk, async () => {
      // Its content stays as it was stored, so what has changed is noted beside it; also that a suspect has not died.
      if (size === 1) {
        await queue.note(lease, { deaths: deathsOf(lease), attempts });
      }
      if (delayMs === undefined) return queue.giveBack(lease);
      return queue.postpone(lease, this.setting.clock.wallNow() + delayMs);
    });
  }

  private async end(chunk: LeasedChunk, act: () => Promise<boolean>): Promise<void> {
    let isHeld = false;
    chunk.isEnding = true;
    const isAnswered = await this.untilAnswered([chunk], async () => {
      isHeld = await act();
    });
    if (!isAnswered) return;
    if (isHeld) this.setting.chunkEnded(chunk);
    else this.lose(chunk);
  }

  /** Tries until the store has answered, or all leases are lost. @returns whether it has */
  private async untilAnswered(chunks: readonly LeasedChunk[], act: () => Promise<void>): Promise<boolean> {
    for (;;) {
      try {
        await act();
        return true;
      } catch (error) {
        this.setting.troubled(error);
        if (chunks.every(({ isLost }) => isLost)) break;
        await new Promise<void>((resolve) => this.setting.clock.setTimer(resolve, AGAIN_MS));
      }
    }
    for (const chunk of chunks) this.setting.chunkEnded(chunk);
    return false;
  }

  private lose(chunk: LeasedChunk): void {
    if (!chunk.isLost) this.setting.leaseLost(chunk);
    chunk.isLost = true;
    this.setting.chunkEnded(chunk);
  }
}

interface PartOfChunk {
  readonly chunk: LeasedChunk;
  readonly part: ChunkPart;
}

function partsOf(chunks: readonly LeasedChunk[]): PartOfChunk[] {
  return chunks.map((chunk) => ({ chunk, part: chunk.takePart() }));
}

/** A chunk that must stay the same one, as it holds a key or a place in an order; or of which nothing has been done. */
function goesBackAsItIs({ leaving, size, isAlone }: LeasedChunk): boolean {
  if (leaving === undefined) return false;
  return isAlone || (leaving.length === size && leaving.every(({ delayMs }) => delayMs === undefined));
}

function partition<Item>(items: readonly Item[], isFirst: (item: Item) => boolean): [Item[], Item[]] {
  return [items.filter(isFirst), items.filter((item) => !isFirst(item))];
}
