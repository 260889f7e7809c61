import type { Job } from '../core/job.js';
import type { Source } from '../core/sources.js';
import type { SubmitOptions } from '../core/worker-process.js';

/** What a feed needs of the process that its items go to. */
export interface FeedDoor {
  /** @throws UnknownWorkerTypeError, ProcessClosedError, QueueFullError */
  distributeWork(type: string, source: Source<unknown>, options?: SubmitOptions): Promise<Job>;
  /** Makes an item a dead letter that failed a check before any worker saw it. */
  rejectItem(type: string, payload: unknown, error: Error): Job;
  /** Runs everything that awaits a retry now. */
  retryFailedItems(type: string): number;
}
