import type { Job } from './job.js';

/** What the jobs of a worker type have in common: who runs them, and what their ids begin with. */
export interface JobHome {
  readonly type: string;
  readonly idPrefix: string;
  cancelJob(job: Job): Promise<void> | void;
  jobEnded(job: Job): void;
  /** Runs the items of these jobs now that await a retry. @returns how many */
  retryJobs(jobs: Iterable<Job>): Promise<number>;
}
