import type { Job } from '../../core/job.js';
import type { FeedDoor } from '../feed-door.js';

/**
 * Runs what awaits a retry of jobs: in one call for all that are added together, as each call looks at everything that is
 * delayed.
 */
export class GatheredRetries {
  private jobs: Job[] = [];

  constructor(private readonly door: Pick<FeedDoor, 'retryFailedItemsOf'>) {}

  add(job: Job): void {
    this.jobs.push(job);
    if (this.jobs.length === 1) queueMicrotask(() => this.run());
  }

  private run(): void {
    const { jobs } = this;
    this.jobs = [];
    void this.door.retryFailedItemsOf(jobs);
  }
}
