import type { Clock } from '../core/clock.js';
import type { Job } from '../core/job.js';
import type { Source } from '../core/sources.js';
import type { SubmitOptions } from '../core/submit-options.js';

/** What a feed needs of the process that its items go to. */
export interface FeedDoor {
  /** For the durations of feeds. */
  readonly clock: Clock;
  /** Whether the process shuts down, or has. */
  readonly isClosed: boolean;
  /** Whether what is queued outlives the process. */
  readonly isDurable: boolean;
  /** @throws UnknownWorkerTypeError */
  requireType(type: string): void;
  /** @throws UnknownWorkerTypeError, InvalidOptionsError, ProcessClosedError, QueueFullError */
  distributeWork(type: string, source: Source<unknown>, options?: SubmitOptions): Promise<Job>;
  /**
   * Makes an item a dead letter that failed a check before any worker saw it.
   *
   * @throws UnknownWorkerTypeError, DeadLettersFullError, ProcessClosedError
   */
  rejectItem(type: string, payload: unknown, error: Error): Promise<Job>;
  /** Runs the items of these jobs now that await a retry. @returns how many */
  retryFailedItemsOf(jobs: Iterable<Job>): Promise<number>;
}
