import { Job } from '../../src/core/job.js';

/** A job of no process. */
export function makeJob(sequence = 0): Job {
  const home = {
    type: 'type',
    idPrefix: 'p',
    cancelJob: () => undefined,
    jobEnded: () => undefined,
    retryJobs: () => Promise.resolve(0),
  };
  return new Job(home, sequence);
}
