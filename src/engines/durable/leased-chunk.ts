import type { Job } from '../../core/job.js';
import type { DeadReason } from '../../core/outcome.js';
import type { ChunkContent, ChunkRun } from './chunk-format.js';
import type { ChunkQueue, Lease, LeaseNote } from './chunk-queue.js';
import type { EndedItems } from './job-records.js';
import { splitJobId } from './job-id.js';
import { LeasedRun } from './leased-run.js';

/** An item that died while this process worked on it. */
export interface DeadInChunk {
  readonly job: Job;
  readonly index: number;
  readonly payload: unknown;
  readonly attempts: number;
  readonly reason: DeadReason;
  readonly error: Error;
  readonly isTracked: boolean;
  /** The queue that it was leased from. Left out: it never was in one. */
  readonly queue?: ChunkQueue;
}

/** The same, with its place in the chunk. */
export interface DeadAtPlace extends DeadInChunk {
  readonly place: number;
}

/** An item that goes back to the store. */
export interface LeavingItem {
  /** Its place in the chunk. */
  readonly place: number;
  /** Attempts that it has behind it. */
  readonly attempts: number;
  /** Milliseconds from now until it may run again; undefined: it was not tried to its end, and is due. */
  readonly delayMs: number | undefined;
}

/** Makes what stands in this process for the stored job whose id has these parts. */
export type MakeJob = (idPrefix: string, sequence: number, keeper: LeasedRun) => Job;

/** What became of an item in this process; 0 as long as nothing has, or when it was cancelled. */
const DONE = 1;
const DEAD = 2;
const LEAVES = 3;
/** It is written down what became of it. */
const SETTLED = 4;

/** What has become of some items of a chunk that is still worked on. */
export interface ChunkPart {
  readonly leaving: readonly LeavingItem[] | undefined;
  readonly dead: readonly DeadAtPlace[] | undefined;
  readonly ended: readonly EndedItems[];
  /** For the note, the former parts included. */
  readonly settled: string;
}

function isOutcome(outcome: number | undefined): boolean {
  return outcome === DONE || outcome === DEAD || outcome === LEAVES;
}

/** A chunk that this process works on: gathers what becomes of its items, until all of them have an outcome. */
export class LeasedChunk {
  readonly runs: readonly LeasedRun[];
  /** Items that have no outcome yet. */
  open: number;
  /** Items that go back to the store; undefined as long as there is none. */
  leaving: LeavingItem[] | undefined = undefined;
  dead: DeadAtPlace[] | undefined = undefined;
  /** Whether the lease ran out: what becomes of its items counts for nothing. */
  isLost = false;
  /** Whether its end is being told to the store. */
  isEnding = false;
  /** What is kept beside its content, as far as this process knows. */
  noted: LeaseNote | undefined;
  private isReleased = false;
  private readonly outcomes: Uint8Array;

  /**
   * @param isOrdered whether others must not start before its item has ended: it is kept here between its attempts
   * @param makeJob makes what stands for a stored job in this process
   * @param onSettled called once, when all items have an outcome
   */
  constructor(
    readonly queue: ChunkQueue,
    readonly lease: Lease,
    readonly content: ChunkContent,
    readonly isOrdered: boolean,
    makeJob: MakeJob,
    private readonly onSettled: (chunk: LeasedChunk) => void,
  ) {
    this.noted = lease.noted;
    this.outcomes = readSettled(lease.noted?.settled, content.items.length);
    this.open = this.outcomes.reduce((open, outcome) => (outcome === SETTLED ? open : open + 1), 0);
    this.runs = makeRuns(this, content.of, makeJob);
  }

  get size(): number {
    return this.content.items.length;
  }

  /** Whether it is of one item that stays in it to the end. */
  get isAlone(): boolean {
    return this.size === 1 && (this.isOrdered || this.content.heads?.[0]?.u === 1);
  }

  /** Whether its item is to run again, and waits for that in this process. */
  get waitsHere(): boolean {
    return this.isOrdered && this.leaving?.[0]?.delayMs !== undefined;
  }

  /** Whether something may still become of its items here. */
  get isWorkedOn(): boolean {
    return this.open > 0 && !this.isReleased;
  }

  /** Whether every item is done, so that nothing but its end has to be written down. */
  get isClean(): boolean {
    return this.leaving === undefined && this.dead === undefined;
  }

  get hasRecords(): boolean {
    return this.runs.some(({ isTracked }) => isTracked);
  }

  isSettled(place: number): boolean {
    return this.outcomes[place] === SETTLED;
  }

  /** The places from `start` to before `end` that are not settled, as ranges. */
  *openRanges(start: number, end: number): Iterable<readonly [from: number, to: number]> {
    let from = start;
    while (from < end) {
      let to = from;
      while (to < end && !this.isSettled(to)) to++;
      if (to > from) yield [from, to];
      from = to + 1;
    }
  }

  /** Outcomes that are not written down. */
  get unwritten(): number {
    return this.outcomes.reduce((count, outcome) => (isOutcome(outcome) ? count + 1 : count), 0);
  }

  /** The outcomes so far, to be written down while other items still run. What comes meanwhile is of the next part. */
  takePart(): ChunkPart {
    const { leaving, dead } = this;
    const ended = this.endedItems();
    this.leaving = undefined;
    this.dead = undefined;
    for (const [place, outcome] of this.outcomes.entries()) {
      if (isOutcome(outcome)) this.outcomes[place] = SETTLED;
    }
    return { leaving, dead, ended, settled: writeSettled(this.outcomes) };
  }

  completed(place: number, count: number): void {
    this.outcomes.fill(DONE, place, place + count);
    this.ended(count);
  }

  leave(place: number, attempts: number, delayMs: number | undefined): void {
    this.outcomes[place] = LEAVES;
    (this.leaving ??= []).push({ place, attempts, delayMs });
    this.ended(1);
  }

  died(place: number, item: DeadInChunk): void {
    this.outcomes[place] = DEAD;
    (this.dead ??= []).push({ ...item, place, queue: this.queue });
    this.ended(1);
  }

  cancelled(count: number): void {
    this.ended(count);
  }

  /** Its only item, which is to run again, does so in this process. */
  reopen(): LeavingItem {
    const item = this.leaving![0]!;
    this.leaving = undefined;
    this.outcomes[item.place] = 0;
    this.runs[0]!.isAdmitted = false;
    this.open = 1;
    return item;
  }

  /** Its items go on elsewhere: nothing becomes of them here any more. */
  release(): void {
    this.isReleased = true;
  }

  private ended(count: number): void {
    if (this.isReleased) return;
    this.open -= count;
    if (this.open === 0) this.onSettled(this);
  }

  /** The run that the item belongs to, and its index in its job. */
  ownerOf(place: number): { readonly run: LeasedRun; readonly index: number } {
    const run = this.runs.find((one) => place < one.placeOf(one.index + one.count))!;
    return { run, index: run.index + place - run.placeOf(run.index) };
  }

  /** What the records of its jobs are to be told. */
  endedItems(): EndedItems[] {
    return this.runs.filter(({ isTracked }) => isTracked).flatMap((run) => [...this.endedOf(run)]);
  }

  /** Items that ended in the same way, one after another, in one. */
  private *endedOf(run: LeasedRun): Iterable<EndedItems> {
    const jobId = run.job.id;
    const end = run.index + run.count;
    let from = run.index;
    while (from < end) {
      const outcome = this.outcomes[run.placeOf(from)];
      let to = from + 1;
      while (to < end && this.outcomes[run.placeOf(to)] === outcome) to++;
      const count = to - from;
      if (outcome === DONE) yield { jobId, index: from, count, as: 'done' };
      if (outcome === DEAD) yield { jobId, index: from, count, as: 'dead' };
      // Nothing runs any more, and nothing else became of them.
      if (outcome === 0 && this.open === 0) yield { jobId, index: from, count, as: 'dropped' };
      from = to;
    }
  }
}

function makeRuns(chunk: LeasedChunk, of: readonly ChunkRun[], makeJob: MakeJob): LeasedRun[] {
  const runs: LeasedRun[] = [];
  let place = 0;
  for (const [kind, id, first, count] of of) {
    if (kind === 'jobs') {
      for (let i = 0; i < count; i++) {
        const run = new LeasedRun(chunk, 'loose', 0, 1, place + i);
        run.job = makeJob(id, first + i, run);
        runs.push(run);
      }
    } else {
      const run = new LeasedRun(chunk, kind, first, count, place);
      const { idPrefix, sequence } = splitJobId(id);
      run.job = makeJob(idPrefix, sequence, run);
      runs.push(run);
    }
    place += count;
  }
  return runs;
}

function readSettled(text: string | undefined, items: number): Uint8Array {
  const outcomes = new Uint8Array(items);
  if (text === undefined) return outcomes;
  const bits = Buffer.from(text, 'base64');
  for (let place = 0; place < items; place++) {
    if (((bits[place >> 3] ?? 0) >> (7 - (place & 7))) & 1) outcomes[place] = SETTLED;
  }
  return outcomes;
}

function writeSettled(outcomes: Uint8Array): string {
  const bits = Buffer.alloc(Math.ceil(outcomes.length / 8));
  for (const [place, outcome] of outcomes.entries()) {
    if (outcome === SETTLED) bits[place >> 3]! |= 1 << (7 - (place & 7));
  }
  return bits.toString('base64');
}
