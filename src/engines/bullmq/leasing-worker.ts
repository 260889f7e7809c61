import { Worker, type Job } from 'bullmq';

/** A BullMQ worker of which nothing is used but how it leases jobs. */
export class LeasingWorker extends Worker<unknown> {
  /** Ends a job, and leases the next one under the same token, in one call. @returns the next job, if there is one */
  async completeAndLease(job: Job<unknown>, token: string): Promise<Job<unknown> | undefined> {
    const next = await job.moveToCompleted(null, token, true);
    // Without a job there stands a 0 in its place.
    const [data, id] = next ?? [];
    return data ? this.nextJobFromJobData(data, id, token) : undefined;
  }

  /** The look for lapsed leases goes on in its own time: after an error, BullMQ's waits for as long again, and outlives a close. */
  protected override checkConnectionError<T>(ask: () => Promise<T>): Promise<T | undefined> {
    return super.checkConnectionError(ask, 0);
  }
}
