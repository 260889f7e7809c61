import type { Job } from '../../core/job.js';
import type { DeadReason } from '../../core/outcome.js';
import type { ChunkContent, ChunkRun } from './chunk-format.js';
import type { ChunkQueue, Lease } from './chunk-queue.js';
import type { EndedItems } from './job-records.js';
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

/** Makes what stands in this process for the stored job of this id. */
export type MakeJob = (jobId: string, keeper: LeasedRun) => Job;

/** What became of an item in this process; 0 as long as nothing has, or when it was cancelled. */
const DONE = 1;
const DEAD = 2;
const LEAVES = 3;

/** A chunk that this process works on: gathers what becomes of its items, until all of them have an outcome. */
export class LeasedChunk {
  readonly runs: readonly LeasedRun[];
  /** Items that have no outcome yet. */
  open: number;
  /** Items that go back to the store; undefined as long as there is none. */
  leaving: LeavingItem[] | undefined = undefined;
  dead: DeadInChunk[] | undefined = undefined;
  /** Whether the lease ran out: what becomes of its items counts for nothing. */
  isLost = false;
  private readonly outcomes: Uint8Array;

  /**
   * @param retriesHere whether failed items wait here for their next attempts
   * @param makeJob makes what stands for a stored job in this process
   * @param onSettled called once, when all items have an outcome
   */
  constructor(
    readonly queue: ChunkQueue,
    readonly lease: Lease,
    readonly content: ChunkContent,
    private readonly retriesHere: boolean,
    makeJob: MakeJob,
    private readonly onSettled: (chunk: LeasedChunk) => void,
  ) {
    this.open = content.items.length;
    this.outcomes = new Uint8Array(content.items.length);
    this.runs = makeRuns(this, content.of, retriesHere, makeJob);
  }

  get size(): number {
    return this.content.items.length;
  }

  /** Whether it is of one item that stays in it to the end. */
  get isAlone(): boolean {
    return this.size === 1 && (this.retriesHere || this.content.heads?.[0]?.u === 1);
  }

  /** Whether every item is done, so that nothing but its end has to be written down. */
  get isClean(): boolean {
    return this.leaving === undefined && this.dead === undefined;
  }

  get hasRecords(): boolean {
    return this.runs.some(({ isTracked }) => isTracked);
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
    (this.dead ??= []).push(item);
    this.ended(1);
  }

  cancelled(count: number): void {
    this.ended(count);
  }

  private ended(count: number): void {
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
      if (outcome === DONE) yield { jobId, index: from, count: to - from, as: 'done' };
      if (outcome === DEAD) yield { jobId, index: from, count: to - from, as: 'dead' };
      from = to;
    }
  }
}

function makeRuns(
  chunk: LeasedChunk,
  of: readonly ChunkRun[],
  retriesHere: boolean,
  makeJob: MakeJob,
): LeasedRun[] {
  const runs: LeasedRun[] = [];
  let place = 0;
  for (const [kind, id, first, count] of of) {
    if (kind === 'jobs') {
      for (let i = 0; i < count; i++) {
        const run = new LeasedRun(chunk, false, 0, 1, place + i, retriesHere);
        run.job = makeJob(`${id}-${first + i}`, run);
        runs.push(run);
      }
    } else {
      const run = new LeasedRun(chunk, kind === 'job', first, count, place, retriesHere);
      run.job = makeJob(id, run);
      runs.push(run);
    }
    place += count;
  }
  return runs;
}
