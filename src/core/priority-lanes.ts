import type { Envelope } from './envelope.js';
import type { Job } from './job.js';
import { LaneShares } from './lane-shares.js';
import { PRIORITIES } from './priority.js';
import { takeBatch, type TakenBatch, type TakenItem, type WaitingItems } from './waiting-items.js';
import { WorkQueue } from './work-queue.js';

/** The waiting items of a worker type with priorities: a work queue for each, in shares that let none starve. */
export class PriorityLanes implements WaitingItems {
  /** Items that wait, in all lanes. */
  size = 0;
  /** By `Job.lane`, the first ones first. */
  private readonly queues = PRIORITIES.map(() => new WorkQueue());
  private readonly shares = new LaneShares();
  private readonly hasItems = (lane: number): boolean => this.queues[lane]!.size > 0;

  push(job: Job, index: number, payload: unknown): void {
    this.queues[job.lane]!.push(job, index, payload);
    this.size++;
  }

  pushMany(job: Job, index: number, payloads: readonly unknown[], from: number, to: number): void {
    this.queues[job.lane]!.pushMany(job, index, payloads, from, to);
    this.size += to - from;
  }

  pushEnvelope(envelope: Envelope): void {
    this.queues[envelope.job.lane]!.pushEnvelope(envelope);
    this.size++;
  }

  take(item: TakenItem): boolean {
    if (this.size === 0) return false;
    this.queues[this.shares.next(this.hasItems)]!.take(item);
    this.size--;
    return true;
  }

  takeBatch(batch: TakenBatch, limit: number): number {
    return takeBatch(this, batch, limit);
  }

  drop(job: Job): number {
    const count = this.queues[job.lane]!.drop(job);
    this.size -= count;
    return count;
  }

  takeOutDropped(): void {
    for (const queue of this.queues) queue.takeOutDropped();
  }
}
