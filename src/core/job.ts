import type { Outcome } from './outcome.js';
import { promiseWithResolve, type PromiseWithResolve } from './promise-with-resolve.js';

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
}

/** What `job.completed` resolves with. */
export interface JobResult extends JobProgress {
  readonly total: number;
  readonly status: JobStatus;
  /** What the source threw, when `status` is `source-failed`. */
  readonly error: Error | undefined;
}

/**
 * Told of each item of a job as it completes or dies, and of a redriven one again. Items that are cancelled or handed
 * back are counted only. For feeds that write outcomes back.
 */
export interface JobObserver {
  /** @param attempts attempts that the item took */
  itemEnded(index: number, outcome: Exclude<Outcome, { kind: 'retry' }>, attempts: number): void;
}

/**
 * What a job needs of the process that runs it.
 */
export interface JobRunner {
  cancelJob(job: Job): void;
  jobFinished(job: Job): void;
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
  /** Items that have not ended. */
  open = 0;
  done = 0;
  failed = 0;
  /** Items that were cancelled. */
  cancelledItems = 0;
  handedBack = 0;
  /** Whether the source has ended, so that `accepted` is the total. */
  sealed = false;
  /** Whether `cancel` was called. */
  isCancelled = false;
  /** @internal */
  observer: JobObserver | undefined = undefined;
  /** @internal Whether it can be found by its id, and its end is told to the listeners. */
  tracked = false;
  private sourceError: Error | undefined = undefined;
  private interrupted = false;
  private finished = false;
  private result: JobResult | undefined = undefined;
  private completion: PromiseWithResolve<JobResult> | undefined = undefined;

  /** @internal */
  constructor(
    /** The worker type that the items are for. */
    readonly type: string,
    private readonly runner: JobRunner,
    private readonly idPrefix: string,
    private readonly sequence: number,
  ) {}

  /** Unique across processes. The id of its item number i, counted from 0, is `${id}:${i}`. */
  get id(): string {
    return `${this.idPrefix}-${this.sequence}`;
  }

  /** The counts of this moment. */
  progress(): JobProgress {
    return {
      accepted: this.accepted,
      total: this.sealed ? this.accepted : undefined,
      done: this.done,
      failed: this.failed,
      cancelled: this.cancelledItems,
      handedBack: this.handedBack,
    };
  }

  /** Resolves with the final counts when the source has ended and so has every item. Never rejects. */
  get completed(): Promise<JobResult> {
    if (this.completion === undefined) {
      this.completion = promiseWithResolve<JobResult>();
      if (this.finished) this.completion.resolve(this.finalResult());
    }
    return this.completion.promise;
  }

  /** Whether the source and every item have ended. */
  get isFinished(): boolean {
    return this.finished;
  }

  /** @internal Whether an item of it that fails is not to be tried again. One that was redriven after the end is. */
  get dropsFailures(): boolean {
    return this.isCancelled && !this.isFinished;
  }

  /**
   * Stops reading the source, drops the items that wait and aborts the signals of those that run. An item that
   * completes all the same counts as done. A finished job is left as it is.
   */
  cancel(): void {
    if (this.isCancelled || this.isFinished) return;
    this.isCancelled = true;
    this.runner.cancelJob(this);
  }

  /** For answers over HTTP and messages. */
  toJSON(): JobProgress & { readonly id: string; readonly type: string } {
    return { id: this.id, type: this.type, ...this.progress() };
  }

  /** @internal Takes one more item in. @returns its index */
  accept(): number {
    this.open++;
    return this.accepted++;
  }

  /** @internal Takes `count` more items in. @returns the index of the first */
  acceptMany(count: number): number {
    const first = this.accepted;
    this.accepted += count;
    this.open += count;
    return first;
  }

  /** @internal */
  complete(count: number): void {
    this.done += count;
    this.close(count);
  }

  /** @internal */
  end(ending: Ending, count: number): void {
    switch (ending) {
      case 'failed':
        this.failed += count;
        break;
      case 'cancelled':
        this.cancelledItems += count;
        break;
      case 'handedBack':
        this.handedBack += count;
        break;
      default:
        ending satisfies never;
    }
    this.close(count);
  }

  /** @internal A dead letter of the job runs again. */
  reopenFailed(count: number): void {
    // What the job ended as stays as it was.
    if (this.finished) this.finalResult();
    this.failed -= count;
    this.open += count;
  }

  /** @internal The source has ended. @param error what it threw, if it did */
  seal(error?: Error): void {
    if (this.sealed) return;
    this.sourceError = error;
    this.sealed = true;
    if (this.open === 0) this.finish();
  }

  /** @internal The process stops reading the source before its end. */
  markInterrupted(): void {
    this.interrupted = true;
  }

  private close(count: number): void {
    this.open -= count;
    if (this.open === 0 && this.sealed) this.finish();
  }

  private finish(): void {
    if (this.finished) return;
    this.finished = true;
    if (this.tracked) this.finalResult();
    this.completion?.resolve(this.finalResult());
    this.runner.jobFinished(this);
  }

  /** The counts at the end. Made when it is asked for: it would cost more than the only item of an untracked job. */
  private finalResult(): JobResult {
    this.result ??= Object.freeze({
      ...this.progress(),
      total: this.accepted,
      status: this.status(),
      error: this.sourceError,
    });
    return this.result;
  }

  private status(): JobStatus {
    if (this.isCancelled) return 'cancelled';
    if (this.sourceError !== undefined) return 'source-failed';
    if (this.interrupted || this.handedBack > 0) return 'interrupted';
    return this.failed > 0 ? 'completed-with-failures' : 'completed';
  }
}
