import type { Clock, Timer } from './clock.js';
import { DelayedItems } from './delayed-items.js';
import type { Job } from './job.js';
import type { Envelope } from './envelope.js';

/** Delayed items with the one timer that brings them back when they are due. */
export class RetrySchedule {
  private readonly items = new DelayedItems();
  private timer: Timer | undefined = undefined;
  private timerDueMs = Infinity;

  /** @param release is given what is due; called for all items of a moment before `released` */
  constructor(
    private readonly clock: Clock,
    private readonly release: (envelope: Envelope) => void,
    private readonly released: () => void,
  ) {}

  get size(): number {
    return this.items.size;
  }

  /** When the next item is due, in milliseconds of the clock; undefined when none is delayed. */
  get nextDueMs(): number | undefined {
    return this.items.nextDueMs;
  }

  add(envelope: Envelope, delayMs: number): void {
    this.items.add(envelope, this.clock.now() + delayMs);
    this.arm();
  }

  /** Releases the items of `jobs`, or of all jobs, whenever they are due. @returns how many */
  releaseAll(jobs?: ReadonlySet<Job>): number {
    const before = this.items.size;
    this.items.take(jobs, this.release);
    this.rearm();
    const count = before - this.items.size;
    if (count > 0) this.released();
    return count;
  }

  /** Drops every item of `job`, which is marked as dropped. @returns how many */
  drop(job: Job): number {
    const count = this.items.drop(job);
    // A timer alone would keep the process alive for nothing.
    if (this.items.size === 0) this.disarm();
    return count;
  }

  takeOutDropped(): void {
    this.items.takeOutDropped();
    this.rearm();
  }

  private rearm(): void {
    this.disarm();
    this.arm();
  }

  private arm(): void {
    const dueMs = this.items.nextBucketMs;
    if (dueMs === undefined || dueMs >= this.timerDueMs) return;
    this.timer?.cancel();
    this.timerDueMs = dueMs;
    this.timer = this.clock.setTimer(() => this.releaseDue(), Math.max(0, dueMs - this.clock.now()));
  }

  private disarm(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.timerDueMs = Infinity;
  }

  private releaseDue(): void {
    this.timer = undefined;
    this.timerDueMs = Infinity;
    const before = this.items.size;
    this.items.takeDue(this.clock.now(), this.release);
    if (this.items.size < before) this.released();
    this.arm();
  }
}
