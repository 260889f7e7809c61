import type { Clock } from './clock.js';
import type { DeadItem } from './dead-letters.js';
import { DelaySchedule } from './delay-schedule.js';
import { Envelope } from './envelope.js';
import { NOBODY, type Job } from './job.js';
import { KeyOrder } from './key-order.js';
import type { WorkerTypeOptions } from './options.js';
import { PriorityLanes } from './priority-lanes.js';
import { RateLimiter } from './rate-limiter.js';
import type { TakenBatch, TakenItem, WaitingItems } from './waiting-items.js';
import { WorkQueue } from './work-queue.js';

/**
 * The items of one worker type that no worker holds and that have not ended: they wait for a worker, for their time, or for
 * the one before them of the same order key.
 */
export class Backlog {
  private readonly queue: WaitingItems;
  private readonly delayed: DelaySchedule;
  private readonly limiter: RateLimiter | undefined;
  /** Made with the first item that has an order key. */
  private order: KeyOrder | undefined = undefined;
  /** Whether there may be items with unique keys, which are told that they have started. */
  private hasUniqueKeys = false;
  private isPaused = false;
  /** Whether it has to be asked for each item if it may start. A field, as it is read for each item. */
  private isGuarded: boolean;

  /** @param onReady told when items that were not may start */
  constructor(
    { priorities, rateLimit }: WorkerTypeOptions,
    private readonly clock: Clock,
    onReady: { readonly arrived: () => void; readonly refilled: () => void },
  ) {
    this.queue = priorities ? new PriorityLanes() : new WorkQueue();
    this.limiter = rateLimit && new RateLimiter(rateLimit, clock, onReady.refilled);
    this.isGuarded = this.limiter !== undefined;
    this.delayed = new DelaySchedule(clock, (envelope) => this.due(envelope), onReady.arrived);
  }

  /** Items that wait for a worker alone. */
  get waiting(): number {
    return this.queue.size;
  }

  /** Items that wait for their time. */
  get delayedItems(): number {
    return this.delayed.size;
  }

  /** Items that wait for the one before them of the same order key. */
  get blocked(): number {
    return this.order === undefined ? 0 : this.order.size;
  }

  get size(): number {
    return this.queue.size + this.delayed.size + this.blocked;
  }

  /**
   * When the next item may start, in milliseconds of the clock, by the time that it is for and the rate limit; in the past when one
   * may now, Infinity when none waits. Pauses, and items that wait for the one before them, count for nothing.
   */
  get nextStartMs(): number {
    const dueMs = this.queue.size > 0 ? -Infinity : (this.delayed.nextDueMs ?? Infinity);
    return this.limiter === undefined ? dueMs : Math.max(dueMs, this.limiter.nextMs);
  }

  // ── in ────────────────────────────────────────────────────────────────────

  /** Takes the next item of `job` in. */
  add(job: Job, payload: unknown): void {
    if (job.isEnveloped && this.addInEnvelopes(job, [payload], 0, 1)) return;
    this.queue.push(job, job.accept(1), payload);
  }

  /** Takes `payloads[from .. to)` in, the next items of `job`. */
  addMany(job: Job, payloads: readonly unknown[], from: number, to: number): void {
    if (job.isEnveloped && this.addInEnvelopes(job, payloads, from, to)) return;
    this.queue.pushMany(job, job.accept(to - from), payloads, from, to);
  }

  /** Takes leased items in; those with attempts behind them in envelopes. */
  addLeased(job: Job, payloads: readonly unknown[], attempts: readonly number[] | undefined): void {
    if (attempts === undefined) {
      this.queue.pushMany(job, job.accept(payloads.length), payloads, 0, payloads.length);
      return;
    }
    for (const [place, payload] of payloads.entries()) {
      this.queue.pushEnvelope(new Envelope(payload, job, job.accept(1), attempts[place]!));
    }
  }

  /** For later, or in their order. @returns false, having done nothing, when they are neither (any more) */
  private addInEnvelopes(job: Job, payloads: readonly unknown[], from: number, to: number): boolean {
    const isForLater = job.dueMs > this.clock.now();
    if (!isForLater && job.orderKeys === undefined) return false;
    for (let position = from; position < to; position++) {
      const envelope = new Envelope(payloads[position], job, job.accept(1), 0);
      if (isForLater) this.delayed.add(envelope, job.dueMs);
      else this.queueUp(envelope);
    }
    return true;
  }

  private due(envelope: Envelope): void {
    // What has been attempted has its place in the order already.
    if (envelope.attempts > 0) this.queue.pushEnvelope(envelope);
    else this.queueUp(envelope);
  }

  /** Puts an item that has not been attempted into the queue, in the order of its key if it has one. */
  private queueUp(envelope: Envelope): void {
    if (envelope.job.orderKeys === undefined || this.orderOfKeys().enter(envelope)) {
      this.queue.pushEnvelope(envelope);
    }
  }

  private orderOfKeys(): KeyOrder {
    this.order ??= new KeyOrder();
    this.isGuarded = true;
    return this.order;
  }

  /** Items with unique keys may come. */
  expectUniqueKeys(): void {
    this.hasUniqueKeys = true;
    this.isGuarded = true;
  }

  /** Items that have ended as dead letters run again. What was dropped of their jobs must not come back with them. */
  redrive(items: readonly DeadItem[]): void {
    if (items.some(({ job }) => job.isDropped)) {
      this.queue.takeOutDropped();
      this.delayed.takeOutDropped();
      this.order?.takeOutDropped();
      for (const { job } of items) job.isDropped = false;
    }
    for (const { job, letter } of items) this.queueUp(new Envelope(letter.payload, job, letter.index, 0));
  }

  // ── to the workers, and back from them ────────────────────────────────────

  take(item: TakenItem): boolean {
    if (!this.isGuarded) return this.queue.take(item);
    if (this.allowedNow(1) === 0 || !this.queue.take(item)) return false;
    this.started(item.job, item.index);
    return true;
  }

  /** @returns how many were taken */
  takeBatch(batch: TakenBatch, limit: number): number {
    if (!this.isGuarded) return this.queue.takeBatch(batch, limit);
    const count = this.queue.takeBatch(batch, this.allowedNow(limit));
    for (let place = 0; place < count; place++) this.started(batch.jobs[place]!, batch.indices[place]!);
    return count;
  }

  private started(job: Job, index: number): void {
    job.uniqueKeys?.started(index);
    if (job.orderKeys !== undefined) this.order!.started(job, index);
  }

  private stays(job: Job, index: number): void {
    job.uniqueKeys?.stays(index);
    if (job.orderKeys !== undefined) this.order!.stays(job, index);
  }

  /** How many items may start now by pauses and the rate limit: up to `limit`, or none yet. */
  private allowedNow(limit: number): number {
    const { limiter, queue } = this;
    if (this.isPaused) return 0;
    if (limiter === undefined) return limit;
    const wanted = Math.min(limit, queue.size, limiter.burst);
    return wanted > 0 && limiter.take(wanted) ? wanted : 0;
  }

  /** An item that a worker held is retried after `delayMs`. */
  retry({ payload, job, index, attempt }: TakenItem, delayMs: number): void {
    this.stays(job, index);
    this.delayed.add(new Envelope(payload, job, index, attempt), this.clock.now() + delayMs);
  }

  /** An item that a worker held waits again, as if it had not been tried. */
  putBack({ payload, job, index, attempt }: TakenItem): void {
    this.stays(job, index);
    this.queue.pushEnvelope(new Envelope(payload, job, index, attempt - 1));
  }

  /** `count` items of `job`, from `index` on, have ended: those go that come after them. Only for jobs with order keys. */
  passOn(job: Job, index: number, count: number): void {
    for (let ended = index; ended < index + count; ended++) {
      const next = this.order!.leave(job, ended);
      if (next !== undefined) this.queue.pushEnvelope(next);
    }
  }

  // ── steering ──────────────────────────────────────────────────────────────

  /** Whether no item is started. */
  setPaused(isPaused: boolean): void {
    this.isPaused = isPaused;
    this.isGuarded = isPaused || this.hasUniqueKeys || this.limiter !== undefined || this.order !== undefined;
  }

  /** Items that workers had better ask for now, by pauses and the rate limit. */
  get startable(): number {
    if (this.isPaused || this.limiter?.isExhausted === true) return 0;
    // At least one asks, and waits then: nobody is called who has not asked.
    return this.limiter === undefined ? Infinity : Math.max(1, this.limiter.available);
  }

  /** Brings what awaits a retry, of `jobs` or of all jobs, back to the queue now. @returns how many items */
  releaseRetries(jobs: ReadonlySet<Job> | undefined): number {
    return this.delayed.releaseRetries(jobs);
  }

  /** Drops every item of `job`, which is marked as dropped. @returns how many */
  drop(job: Job): number {
    const count = this.queue.drop(job) + this.delayed.drop(job) + this.dropFromOrder(job);
    if (this.queue.size === 0) this.limiter?.rest();
    return count;
  }

  private dropFromOrder(job: Job): number {
    if (job.orderKeys === undefined || this.order === undefined) return 0;
    const { count, next } = this.order.drop(job);
    for (const envelope of next) this.queue.pushEnvelope(envelope);
    return count;
  }

  /** No worker asks any more. */
  stop(): void {
    this.limiter?.stop();
  }

  /** Gives everything to `receive`, whenever it is due. */
  empty(receive: (item: TakenItem) => void): void {
    this.delayed.releaseAll();
    const item: TakenItem = { payload: undefined, job: NOBODY, index: 0, attempt: 0 };
    while (this.queue.take(item)) {
      if (item.job.orderKeys !== undefined) this.passOn(item.job, item.index, 1);
      receive(item);
    }
  }
}
