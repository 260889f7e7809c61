import type { Clock, Timer } from '../../core/clock.js';
import { promiseWithResolve } from '../../core/promise-with-resolve.js';
import { within } from '../../core/within.js';
import type { ChunkLimits } from './chunk-builder.js';
import type { ChunkIds } from './chunk-ids.js';
import type { ChunkQueue, Lease, LeaseNote, NewChunk } from './chunk-queue.js';
import { groupBy } from './group-by.js';
import type { JobRecords } from './job-records.js';
import type { ChunkPart, DeadInChunk, LeasedChunk } from './leased-chunk.js';
import { makeRemainder } from './remainder.js';
import { storableDead } from './payload-text.js';
import { isStoreAway } from './store-away.js';
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
 * Each step is repeated as long as the store does not answer and the lease holds; a step that was done twice was done once. What
 * the store refuses it would refuse again: the chunk is left to its lease, which runs out, and no other one waits for it.
 */
export class ChunkSettlement {
  private gathering: LeasedChunk[] = [];
  private gatherTimer: Timer | undefined = undefined;
  /** Chunks of which nothing has to be written down but that all of their items are done. */
  private done: LeasedChunk[] = [];
  private isRaising = false;
  private readonly underWay = new Set<Promise<void>>();
  /** Chunks of which a part is being written down: their end has to wait for that. */
  private readonly inParts = new Set<LeasedChunk>();
  private isHurried = false;
  private isGivenUp = false;
  private readonly givenUp = promiseWithResolve<void>();

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
    const written = await this.write(partsOf(chunks));
    this.run(() => this.complete(written));
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

  /** None of the items has been started: others work on the chunk. */
  handBack(chunk: LeasedChunk): void {
    this.run(async () => {
      if (await this.isHeld(chunk)) await this.giveBack(chunk);
    });
  }

  /** Keeps a note with the chunk. @returns whether it is written; else the lease is lost */
  note(chunk: LeasedChunk, note: LeaseNote): Promise<boolean> {
    const written = this.writeNote(chunk, note);
    this.run(async () => void (await written));
    return written;
  }

  private async writeNote(chunk: LeasedChunk, note: LeaseNote): Promise<boolean> {
    if (!(await this.isHeld(chunk))) return false;
    const isWritten = await this.untilAnswered([chunk], () => chunk.queue.note(chunk.lease, note));
    if (isWritten) chunk.noted = note;
    return isWritten;
  }

  private async isHeld(chunk: LeasedChunk): Promise<boolean> {
    return (await this.confirm(chunk.queue, [chunk])).length > 0;
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
    if ((await this.isHeld(chunk)) && (await this.write([{ chunk, part }])).length > 0) {
      await this.untilAnswered([chunk], () => queue.note(lease, { settled: part.settled }));
    }
  }

  /** Waits for nothing from now on: the process ends. @returns when all is written down that can be */
  async finish(): Promise<void> {
    this.isHurried = true;
    this.flush();
    while (this.underWay.size > 0) await Promise.all(this.underWay);
  }

  /** Asks the store nothing any more: what is not written down by now is done again. */
  giveUp(): void {
    this.isGivenUp = true;
    this.givenUp.resolve();
  }

  private gather(chunk: LeasedChunk): void {
    this.gathering.push(chunk);
    const isUrgent = this.isHurried || chunk.leaving === undefined;
    if (isUrgent) return queueMicrotask(() => this.flush());
    this.gatherTimer ??= this.setting.clock.setTimer(() => this.flush(), GATHER_MS);
  }

  private flush(): void {
    this.gatherTimer?.cancel();
    this.gatherTimer = undefined;
    const chunks = this.gathering;
    this.gathering = [];
    for (const ofQueue of groupBy(chunks, ({ queue }) => queue).values())
      this.run(() => this.writeDown(ofQueue));
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
    await this.complete(await this.write(partsOf(rest)));
  }

  /** @param parts those with a remainder all of one queue. @returns the chunks of which all is written; the leases of others are lost */
  private async write(parts: readonly PartOfChunk[]): Promise<readonly LeasedChunk[]> {
    const diedAtMs = this.setting.clock.wallNow();
    const stored = await this.together(parts, (some) => this.storingRemainder(some));
    const buried = await this.together(stored, (some) => () => this.buryDead(some, diedAtMs));
    const raised = await this.together(buried, (some) => () => this.raiseRecords(some));
    return raised.map(({ chunk }) => chunk);
  }

  /**
   * Does a step for all of them at once; where that is refused, for each by itself.
   *
   * @returns those for which it is done
   */
  private async together(
    parts: readonly PartOfChunk[],
    stepOf: (parts: readonly PartOfChunk[]) => () => Promise<void>,
  ): Promise<readonly PartOfChunk[]> {
    const chunks = parts.map(({ chunk }) => chunk);
    const answer = await this.attempt(chunks, stepOf(parts));
    switch (answer) {
      case 'done':
        return parts;
      case 'given-up':
        return [];
      case 'refused': {
        if (parts.length > 1) {
          return (await Promise.all(parts.map((part) => this.together([part], stepOf)))).flat();
        }
        for (const chunk of chunks) this.lose(chunk);
        return [];
      }
      default:
        throw answer satisfies never;
    }
  }

  /** It is made once: made again, it would be due at another time, and be another one. */
  private storingRemainder(parts: readonly PartOfChunk[]): () => Promise<void> {
    let remainder: NewChunk[] | undefined = undefined;
    return async () => {
      remainder ??= await this.remainderOf(parts);
      if (remainder.length > 0) await parts[0]!.chunk.queue.add(remainder);
    };
  }

  private async buryDead(parts: readonly PartOfChunk[], diedAtMs: number): Promise<void> {
    if (parts.every(({ part }) => part.dead === undefined)) return;
    const dead = await Promise.all(parts.map(({ chunk, part }) => storableDead(chunk, part.dead ?? [])));
    const tell = await this.setting.bury(dead.flat(), diedAtMs);
    tell();
  }

  private async raiseRecords(parts: readonly PartOfChunk[]): Promise<void> {
    const { records, recordsRaised } = this.setting;
    const ended = parts.flatMap(({ part }) => part.ended);
    if (ended.length === 0) return;
    await records.raise(ended);
    recordsRaised(ended.map(({ jobId }) => jobId));
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

  private async giveBack(chunk: LeasedChunk): Promise<void> {
    const { queue, lease, isOrdered } = chunk;
    const dueAtMs = this.dueTimeOf(chunk);
    const note = noteOf(chunk, dueAtMs);
    if (note !== undefined && !(await this.untilAnswered([chunk], () => queue.note(lease, note)))) return;
    // What comes after an item in its order must not be leased before it.
    const isNext = dueAtMs === undefined || isOrdered;
    await this.end(chunk, () => (isNext ? queue.giveBack(lease) : queue.postpone(lease, dueAtMs)));
  }

  /** Before when the item of the chunk is not to run again, in milliseconds since the Unix epoch. */
  private dueTimeOf({ leaving, noted }: LeasedChunk): number | undefined {
    const delayMs = leaving?.[0]?.delayMs;
    return delayMs === undefined ? noted?.dueAtMs : this.setting.clock.wallNow() + delayMs;
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

  /** Tries until the store has answered. @returns whether it has done what it was asked for; else the leases are lost */
  private async untilAnswered(chunks: readonly LeasedChunk[], act: () => Promise<void>): Promise<boolean> {
    const answer = await this.attempt(chunks, act);
    if (answer === 'refused') for (const chunk of chunks) this.lose(chunk);
    return answer === 'done';
  }

  private async attempt(chunks: readonly LeasedChunk[], act: () => Promise<void>): Promise<Answer> {
    for (;;) {
      try {
        await act();
        return 'done';
      } catch (error) {
        this.setting.troubled(error);
        if (this.isGivenUp || chunks.every(({ isLost }) => isLost)) break;
        if (!isStoreAway(error)) return 'refused';
        await within(this.setting.clock, AGAIN_MS, this.givenUp.promise);
      }
    }
    for (const chunk of chunks) this.letGo(chunk);
    return 'given-up';
  }

  private lose(chunk: LeasedChunk): void {
    if (!chunk.isLost) this.setting.leaseLost(chunk);
    chunk.isLost = true;
    this.letGo(chunk);
  }

  /** A chunk with items that still run ends when they have. */
  private letGo(chunk: LeasedChunk): void {
    if (!chunk.isWorkedOn) this.setting.chunkEnded(chunk);
  }
}

/** What a store said: yes; no, as it would again; or nothing, until there was no more use in it. */
type Answer = 'done' | 'refused' | 'given-up';

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

/**
 * What is noted of a chunk that goes back as it is: its content stays as it was stored, so what has changed is kept beside it;
 * also that a suspect has not died. Undefined: nothing has changed.
 */
function noteOf(chunk: LeasedChunk, dueAtMs: number | undefined): LeaseNote | undefined {
  const { lease, leaving, noted, size } = chunk;
  if (size > 1 || (leaving === undefined && noted === undefined)) return undefined;
  const attempts = leaving?.[0]?.attempts ?? noted?.attempts ?? 0;
  return { deaths: deathsOf(lease), attempts, ...(chunk.isOrdered && dueAtMs !== undefined && { dueAtMs }) };
}

function partition<Item>(items: readonly Item[], isFirst: (item: Item) => boolean): [Item[], Item[]] {
  return [items.filter(isFirst), items.filter((item) => !isFirst(item))];
}
