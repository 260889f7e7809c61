import { INSPECT, inspection, type Inspect } from './inspection.js';
import type { JobHome } from './job-home.js';
import { promiseWithResolve, type PromiseWithResolve } from './promise-with-resolve.js';
import { NORMAL_LANE } from './priority.js';
import type { HeldKeys } from './held-keys.js';
import type { ItemKeeper } from './item-keeper.js';
import type { OrderKeys } from './order-keys.js';
import type { SubmitOptions } from './submit-options.js';

/** How a job ended. */
export type JobStatus =
  /** Every item of it completed. */
  | 'completed'
  /** Every item was worked on; some ended as dead letters. */
  | 'completed-with-failures'
  /** It was cancelled; some items may have completed before. */
  | 'cancelled'
  /** Its source threw; the items read before were worked on. */
  | 'source-failed'
  /** The process shut down first; the items left were handed back. */
  | 'interrupted';

/** Counts of a job's items at one moment. */
export interface JobProgress {
  /** Items read from the source so far. */
  readonly accepted: number;
  /** Items in all; undefined as long as the source has not ended. */
  readonly total: number | undefined;
  /** Items that completed. */
  readonly done: number;
  /** Items that ended as dead letters. */
  readonly failed: number;
  /** Items that were cancelled. */
  readonly cancelled: number;
  /** Items that a shutdown handed back. */
  readonly handedBack: number;
  /** Items that were not taken in, as others with their `uniqueKey` were; part of no other count. */
  readonly duplicates: number;
}

/** What `job.completed` resolves with. */
export interface JobResult extends JobProgress {
  readonly total: number;
  readonly status: JobStatus;
  /** What the source threw, when `status` is `source-failed`. */
  readonly error: Error | undefined;
}

/** What a job is made with. */
export interface JobOptions extends SubmitOptions {
  /** Keeps its items, which are only leased by this process. */
  readonly keeper?: ItemKeeper;
}

/** How the source of a job ended: it was read to its end, a shutdown stopped it before, or it threw. */
export type SourceEnd = 'reached' | 'interrupted' | Error;

/** What still reads the source of a job, or submits what was read. */
export interface JobProducer {
  /** Takes no more items in. */
  stop(): void;
}

/** The ways in which an item stops being open without being done. */
export type Ending = 'failed' | 'cancelled' | 'handedBack';

/**
 * One submission: an item, a set of items or a stream of them. Counts its items, and knows when they have ended.
 * It costs no promise, no text and no map entry before one is asked for.
 */
export class Job {
  /** Items read from the source; the index of the next one. */
  accepted = 0;
  done = 0;
  failed = 0;
  /** Items that were cancelled. */
  cancelled = 0;
  handedBack = 0;
  /** @internal Items in the work queue. */
  waiting = 0;
  /** @internal Items that wait for a moment. */
  delayed = 0;
  /** Items that were not taken in, as others with their `uniqueKey` were. */
  duplicates = 0;
  /** @internal The unique keys that its items hold; undefined when they are given none. */
  uniqueKeys: HeldKeys | undefined = undefined;
  /** @internal The order keys of its items; undefined when they have none. */
  orderKeys: OrderKeys | undefined = undefined;
  /** Whether `cancel` was called. */
  isCancelled = false;
  /** @internal Whether what the queue and the delayed items still have of it counts no more. */
  isDropped = false;
  /** @internal Whether it can be found by its id, and its end is told to the listeners. */
  tracked = false;
  /** @internal Before this moment of the clock, in milliseconds, none of its items starts; 0: at any. */
  dueMs = 0;
  /** @internal Whether its items wait in envelopes from the start: they are for later, or in the order of their keys. */
  isEnveloped = false;
  /** @internal The lane that its items wait in, if their type has several. */
  lane = NORMAL_LANE;
  /** @internal Set as long as more items may come. */
  producer: JobProducer | undefined = undefined;
  private sourceEnd: SourceEnd | undefined = undefined;
  private ended = false;
  private result: JobResult | undefined = undefined;
  private completion: PromiseWithResolve<JobResult> | undefined = undefined;
  /** Indices of the items that were redriven after the cancel. */
  private redrivenSince: Set<number> | undefined = undefined;

  /** @internal */
  constructor(
    /** @internal */
    readonly home: JobHome,
    /** @internal What its id ends with. */
    readonly sequence: number,
    /** @internal */
    readonly options?: JobOptions,
  ) {}

  /** Unique across processes. The id of its item number i, counted from 0, is `${id}:${i}`. */
  get id(): string {
    return `${this.home.idPrefix}-${this.sequence}`;
  }

  /** The worker type that the items are for. */
  get type(): string {
    return this.home.type;
  }

  /** Items that have not ended. */
  get open(): number {
    return this.accepted - this.done - this.failed - this.cancelled - this.handedBack;
  }

  /** Whether the source has ended, so that `accepted` is the total. */
  get isSealed(): boolean {
    return this.sourceEnd !== undefined;
  }

  /** The counts of this moment. */
  progress(): JobProgress {
    return {
      accepted: this.accepted,
      total: this.isSealed ? this.accepted : undefined,
      done: this.done,
      failed: this.failed,
      cancelled: this.cancelled,
      handedBack: this.handedBack,
      duplicates: this.duplicates,
    };
  }

  /**
   * Resolves with the final counts when the source has ended and so has every item. Never rejects.
   *
   * @throws JobNotTrackedError on a durable engine, when it is a job of one item that nobody asked to track
   */
  get completed(): Promise<JobResult> {
    if (this.completion === undefined) {
      if (!this.ended) this.home.completionAsked?.(this);
      this.completion = promiseWithResolve<JobResult>();
      if (this.ended) this.completion.resolve(this.finalResult());
    }
    return this.completion.promise;
  }

  /** Whether the source and every item have ended. */
  get isEnded(): boolean {
    return this.ended;
  }

  /** @internal Whether its item `index` is not to be tried again if it fails: it was cancelled, and not redriven since. */
  dropsFailureOf(index: number): boolean {
    return this.isCancelled && !this.ended && this.redrivenSince?.has(index) !== true;
  }

  /**
   * Stops reading the source, drops the items that wait and aborts the signals of those that run. An item that
   * completes all the same counts as done. A job that has ended is left as it is.
   *
   * @throws JobNotTrackedError on a durable engine, when it is a job of one item that nobody asked to track; what its store
   *   throws while it is away: the job goes on until the store takes the cancel, which may also be asked for again
   */
  async cancel(): Promise<void> {
    if (this.isCancelled || this.ended) return;
    this.isCancelled = true;
    try {
      await this.home.cancelJob(this);
    } catch (error) {
      // It can be asked for again.
      this.isCancelled = false;
      throw error;
    }
  }

  /** Runs its items now that await a retry. @returns how many */
  retryFailedItems(): Promise<number> {
    return this.home.retryJobs([this]);
  }

  /** For answers over HTTP and messages. */
  toJSON(): JobProgress & { readonly id: string; readonly type: string } {
    return { id: this.id, type: this.type, ...this.progress() };
  }

  /** For people at a console. */
  [INSPECT](_depth: number, options: unknown, inspect: Inspect): string {
    return inspection(this, options, inspect);
  }

  /** @internal Takes `count` more items in. @returns the index of the first */
  accept(count: number): number {
    const first = this.accepted;
    this.accepted += count;
    return first;
  }

  /** @internal */
  complete(count: number): void {
    this.done += count;
    if (this.sourceEnd !== undefined) this.endWhenAllEnded();
  }

  /** @internal */
  end(ending: Ending, count: number): void {
    switch (ending) {
      case 'failed':
        this.failed += count;
        break;
      case 'cancelled':
        this.cancelled += count;
        break;
      case 'handedBack':
        this.handedBack += count;
        break;
      default:
        ending satisfies never;
    }
    this.endWhenAllEnded();
  }

  /** @internal Its item `index`, a dead letter, runs again. */
  reopenFailed(index: number): void {
    // What the job ended as stays as it was.
    if (this.ended) this.finalResult();
    else if (this.isCancelled) (this.redrivenSince ??= new Set()).add(index);
    this.failed--;
  }

  /** @internal Takes over the counts that are kept elsewhere. */
  learn(counts: Pick<JobProgress, 'accepted' | 'done' | 'failed' | 'cancelled' | 'duplicates'>): void {
    Object.assign(this, counts);
    this.endWhenAllEnded();
  }

  /** @internal The source has ended. Only the first call counts. */
  seal(end: SourceEnd = 'reached'): void {
    if (this.sourceEnd !== undefined) return;
    this.sourceEnd = end;
    this.producer = undefined;
    this.endWhenAllEnded();
  }

  private endWhenAllEnded(): void {
    if (this.sourceEnd === undefined || this.ended || this.open > 0) return;
    this.ended = true;
    if (this.tracked) this.finalResult();
    this.completion?.resolve(this.finalResult());
    this.home.jobEnded(this);
  }

  /** The counts at the end. Made when it is asked for: it would cost more than the only item of an untracked job. */
  private finalResult(): JobResult {
    this.result ??= Object.freeze({
      ...this.progress(),
      total: this.accepted,
      status: this.status(),
      error: typeof this.sourceEnd === 'object' ? this.sourceEnd : undefined,
    });
    return this.result;
  }

  private status(): JobStatus {
    if (this.isCancelled) return 'cancelled';
    if (typeof this.sourceEnd === 'object') return 'source-failed';
    if (this.sourceEnd === 'interrupted' || this.handedBack > 0) return 'interrupted';
    return this.failed > 0 ? 'completed-with-failures' : 'completed';
  }
}

/** Owns what nobody does: a segment of envelopes, a record before its first item. What it had would count as dropped. */
export const NOBODY = new Job(
  {
    type: '',
    idPrefix: '',
    cancelJob: () => undefined,
    jobEnded: () => undefined,
    retryJobs: () => Promise.resolve(0),
  },
  0,
);
NOBODY.isDropped = true;
