import type { Envelope } from './envelope.js';
import type { Job } from './job.js';
import { PRIORITIES } from './priority.js';
import { takeBatch, type TakenBatch, type TakenItem, type WaitingItems } from './waiting-items.js';
import { WorkQueue } from './work-queue.js';

/** Items of each lane that start in a round while all lanes have some: the low one is slowed down, and never starved. */
const SHARES = { high: 16, normal: 4, low: 1 } as const;

/** The waiting items of a worker type with priorities: a work queue for each, in shares that let none starve. */
export class PriorityLanes implements WaitingItems {
  /** Items that wait, in all lanes. */
  size = 0;
  /** By `Job.lane`, the first ones first. */
  private readonly queues = PRIORITIES.map(() => new WorkQueue());
  /** What is left of the shares of this round. */
  private readonly left = PRIORITIES.map(() => 0);

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
    this.queues[this.nextLane()]!.take(item);
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

  /** The first lane with items that has not had its share; when all of those have, a new round begins. */
  private nextLane(): number {
    const { queues, left } = this;
    let first = -1;
    for (let lane = 0; lane < queues.length; lane++) {
      if (queues[lane]!.size === 0) continue;
      if (left[lane]! > 0) {
        left[lane]!--;
        return lane;
      }
      if (first < 0) first = lane;
    }
    for (const [lane, priority] of PRIORITIES.entries()) left[lane] = SHARES[priority];
    left[first]!--;
    return first;
  }
}
