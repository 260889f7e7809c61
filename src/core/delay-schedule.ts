import type { Clock, Timer } from './clock.js';
import { DelayedItems } from './delayed-items.js';
import type { Job } from './job.js';
import type { Envelope } from './envelope.js';

/** Delayed items with the one timer that brings them back when they are due. */
export class DelaySchedule {
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

  /** @param dueMs milliseconds of the clock */
  add(envelope: Envelope, dueMs: number): void {
    this.items.add(envelope, dueMs);
    this.arm();
  }

  /** Releases everything, whenever it is due. @returns how many items */
  releaseAll(): number {
    return this.releaseWhere(() => true);
  }

  /** Releases what awaits a retry, of `jobs` or of all jobs, whenever it is due. @returns how many items */
  releaseRetries(jobs?: ReadonlySet<Job>): number {
    return this.releaseWhere(({ attempts, job }) => attempts > 0 && (jobs === undefined || jobs.has(job)));
  }

  private releaseWhere(isWanted: (envelope: Envelope) => boolean): number {
    const before = this.items.size;
    this.items.take(isWanted, this.release);
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
