import type { Job } from './job.js';

/** What the jobs of a worker type have in common: who runs them, and what their ids begin with. */
export interface JobHome {
  readonly type: string;
  readonly idPrefix: string;
  cancelJob(job: Job): Promise<void> | void;
  jobEnded(job: Job): void;
  /** Runs the items of these jobs now that await a retry. @returns how many */
  /** Somebody asks for the end of the job for the first time. @throws when it will not be known */
  completionAsked?(job: Job): void;
  retryJobs(jobs: Iterable<Job>): Promise<number>;
}
