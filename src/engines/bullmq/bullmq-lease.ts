import type { Job } from 'bullmq';
import type { Lease, LeaseNote } from '../durable/chunk-queue.js';

/** A lease, which is an active BullMQ job with the token of its lock. */
export class BullmqLease implements Lease {
  readonly chunkId: string;
  readonly number: number;
  readonly lapses: number;
  readonly content: unknown;
  readonly noted: LeaseNote | undefined;

  constructor(
    readonly job: Job<unknown>,
    readonly token: string,
  ) {
    this.chunkId = job.id!;
    this.number = job.attemptsStarted;
    this.lapses = job.stalledCounter;
    this.content = job.data;
    // BullMQ's word for "no progress yet" is 0.
    this.noted = typeof job.progress === 'object' ? job.progress : undefined;
  }
}
