import { Admission } from './admission.js';
import { DelaySchedule } from './delay-schedule.js';
import type { WorkCounts } from './counts.js';
import { Conditions } from './conditions.js';
import type { DeadItem, DeadLetterStore } from './dead-letters.js';
import { DeadLettersFullError } from './errors.js';
import type { PauseReason, UnfinishedItem } from './events.js';
import { KeyOrder } from './key-order.js';
import type { JobHome } from './job-home.js';
import { NOBODY, type Job } from './job.js';
import type { WorkerTypeOptions } from './options.js';
import { Envelope } from './envelope.js';
import { RateLimiter } from './rate-limiter.js';
import { Settlement, type Verdict } from './settlement.js';
import type { WorkloadSetting } from './workload-setting.js';
import { PriorityLanes } from './priority-lanes.js';
import type { TakenBatch, TakenItem, WaitingItems } from './waiting-items.js';
import type { UniqueKeys } from './unique-keys.js';
import { WorkQueue } from './work-queue.js';

/** Told when there is something for the pool to do. Both are called once for many changes. */
export interface WorkloadListener {
  /** Items arrived while a worker was free to take them. */
  itemsArrived(): void;
  /** The depth left the range that `watchDepth` was given. */
  depthCrossed(): void;
}

/**
 * Everything that one worker type has to do: the items that wait, are delayed, run or are dead, and what became of the
 * others. Workers take items from here and settle them here; nobody else changes a count.
 */
export class Workload {
  readonly type: string;
  /** Set while a worker waits for an item, so that a push pays for nothing but this look. */
  hungry = false;
  running = 0;
  /** Whether it has to be asked for each item if it may start. A field, as it is read for each item. */
  private isGuarded: boolean;
  readonly admission: Admission;
  private readonly queue: WaitingItems;
  private readonly limiter: RateLimiter | undefined;
  /** Made with the first item that has an order key. */
  private order: KeyOrder | undefined = undefined;
  private readonly delayed: DelaySchedule;
  private readonly settlement: Settlement;
  private readonly pauseReasons = new Set<PauseReason>();
  private readonly conditions = new Conditions();
  private submitted = 0;
  private lowestDepth = 0;
  private highestDepth = 0;
  private handsBackAll = false;
  private listener: WorkloadListener = { itemsArrived: () => undefined, depthCrossed: () => undefined };

  constructor(
    readonly options: WorkerTypeOptions,
    /** The job that items belong to which come without one; it never ends. */
    readonly offered: Job,
    private readonly setting: WorkloadSetting,
  ) {
    const { clock, itemsAtOnce } = setting;
    this.type = offered.type;
    this.queue = options.priorities ? new PriorityLanes() : new WorkQueue();
    this.limiter =
      options.rateLimit &&
      new RateLimiter(options.rateLimit, itemsAtOnce, clock, () => this.listener.itemsArrived());
    this.isGuarded = this.limiter !== undefined;
    this.settlement = new Settlement(this.type, options.retry, setting);
    this.admission = new Admission(this, options, clock, (forMs) => this.tellStandstill(forMs));
    this.delayed = new DelaySchedule(
      clock,
      (envelope) => {
        if (envelope.attempts > 0) this.queue.pushEnvelope(envelope);
        else this.queueUp(envelope);
      },
      () => this.arrived(),
    );
  }

  /** What its jobs have in common. */
  get home(): JobHome {
    return this.offered.home;
  }

  attach(listener: WorkloadListener): void {
    this.listener = listener;
  }

  /** Whether no item is started. */
  get isPaused(): boolean {
    return this.pauseReasons.size > 0;
  }

  get waiting(): number {
    return this.queue.size;
  }

  /** Items that the bound counts: those that wait and those that are delayed. */
  get held(): number {
    return this.queue.size + this.delayed.size + this.blocked;
  }

  /** Items that wait for the one before them of the same order key. */
  private get blocked(): number {
    return this.order === undefined ? 0 : this.order.size;
  }

  /** Items that want a worker: those that wait and those that run. */
  get depth(): number {
    return this.queue.size + this.running;
  }

  /** Items that have ended, ever. */
  get ended(): number {
    return this.settlement.ended;
  }

  /** Items that were completed or died, ever; one that died, was redriven and completed counts twice. */
  get processed(): number {
    const { completed, dead, redriven } = this.settlement;
    return completed + dead + redriven;
  }

  /** Whether nothing waits, runs or is delayed, and no producer waits for room. */
  get isDone(): boolean {
    return this.running === 0 && this.held === 0 && this.admission.waitingProducers === 0;
  }

  get counts(): WorkCounts {
    const { completed, dead, cancelled, handedBack, failedAttempts } = this.settlement;
    return {
      submitted: this.submitted,
      completed,
      dead,
      cancelled,
      handedBack,
      waiting: this.queue.size + this.blocked,
      delayed: this.delayed.size,
      running: this.running,
      failedAttempts,
    };
  }

  // ── in ────────────────────────────────────────────────────────────────────

  /** Takes one item of `job` in. @returns false, and takes nothing, when there is no room */
  submit(job: Job, payload: unknown): boolean {
    if (this.admission.waitingProducers > 0 || this.held >= this.options.maxQueueSize) return false;
    this.admit(job, payload);
    return true;
  }

  /** Takes an item in without asking for room; for a producer whose turn it is. */
  admit(job: Job, payload: unknown): void {
    if (job.isEnveloped && this.admitInEnvelopes(job, [payload], 0, 1)) return;
    this.queue.push(job, job.accept(1), payload);
    this.submitted++;
    this.arrived();
  }

  /** Takes `payloads[from .. to)` in without asking for room; for a producer whose turn it is. */
  admitMany(job: Job, payloads: readonly unknown[], from: number, to: number): void {
    const count = to - from;
    if (count === 0 || (job.isEnveloped && this.admitInEnvelopes(job, payloads, from, to))) return;
    this.queue.pushMany(job, job.accept(count), payloads, from, to);
    this.submitted += count;
    this.arrived();
  }

  /** Takes `payloads[from .. to)` in, for later or in their order. @returns false, and takes nothing, when they are neither (any more) */
  private admitInEnvelopes(job: Job, payloads: readonly unknown[], from: number, to: number): boolean {
    const isForLater = job.dueMs > this.setting.clock.now();
    if (!isForLater && job.orderKeys === undefined) return false;
    for (let position = from; position < to; position++) {
      const envelope = new Envelope(payloads[position], job, job.accept(1), 0);
      if (isForLater) this.delayed.add(envelope, job.dueMs);
      else this.queueUp(envelope);
    }
    this.submitted += to - from;
    this.arrived();
    return true;
  }

  /** Puts an item that has not been attempted into the queue, in the order of its key if it has one. */
  private queueUp(envelope: Envelope): void {
    if (envelope.job.orderKeys === undefined || this.orderOfKeys().enter(envelope))
      this.queue.pushEnvelope(envelope);
  }

  private orderOfKeys(): KeyOrder {
    this.order ??= new KeyOrder();
    this.isGuarded = true;
    return this.order;
  }

  /** Lets the items go that come after some that have ended. */
  private passOn(job: Job, index: number, count: number): void {
    for (let ended = index; ended < index + count; ended++) {
      const next = this.order!.leave(job, ended);
      if (next !== undefined) this.queue.pushEnvelope(next);
    }
    this.arrived();
  }

  private tellStandstill(forMs: number): void {
    const { type, running } = this;
    const { waitingProducers } = this.admission;
    this.setting.events.emit('standstill', { type, waitingProducers, running, forMs });
  }

  /** Makes an item of `job` a dead letter that no worker has seen. @throws DeadLettersFullError */
  reject(job: Job, payload: unknown, error: Error): void {
    if (this.isFullOfDead) throw new DeadLettersFullError(this.type, this.options.maxDeadLetters);
    const index = job.accept(1);
    this.submitted++;
    this.settlement.bury(job, index, payload, 'rejected', error, 0);
    this.pauseWhenFullOfDead();
  }

  private arrived(): void {
    if (this.handsBackAll) return this.handBackHeld();
    if (this.hungry) {
      this.hungry = false;
      this.listener.itemsArrived();
    }
    if (this.depth > this.highestDepth) this.crossed();
  }

  // ── to the workers ────────────────────────────────────────────────────────

  take(item: TakenItem): boolean {
    if ((this.isGuarded && this.allowedNow(1) === 0) || !this.queue.take(item)) return false;
    if (this.isGuarded) this.started(item.job, item.index);
    this.running++;
    if (this.admission.waitingProducers > 0) this.admission.roomMade();
    return true;
  }

  private started(job: Job, index: number): void {
    if (job.orderKeys !== undefined) this.order!.started(job, index);
  }

  /** How many items may start now, of a type that is paused or has a rate limit: up to `limit`, or none yet. */
  private allowedNow(limit: number): number {
    const { limiter, queue } = this;
    if (this.isPaused) return 0;
    if (limiter === undefined) return limit;
    const wanted = Math.min(limit, queue.size, limiter.burst);
    return wanted > 0 && limiter.take(wanted) ? wanted : 0;
  }

  /** Items that workers had better ask for now, by pauses and the rate limit. */
  get startable(): number {
    if (this.isPaused || this.limiter?.isExhausted === true) return 0;
    // At least one asks, and waits then: nobody is called who has not asked.
    return this.limiter === undefined ? Infinity : Math.max(1, this.limiter.available);
  }

  /** Workers that can have something to do now, by the rate limit. */
  get usefulWorkers(): number {
    if (this.limiter === undefined) return Infinity;
    return Math.max(1, Math.ceil((this.running + this.startable) / this.setting.itemsAtOnce));
  }

  /** @returns how many were taken */
  takeBatch(batch: TakenBatch, limit: number): number {
    const count = this.queue.takeBatch(batch, this.isGuarded ? this.allowedNow(limit) : limit);
    if (this.isGuarded) {
      for (let place = 0; place < count; place++) this.started(batch.jobs[place]!, batch.indices[place]!);
    }
    this.running += count;
    if (count > 0 && this.admission.waitingProducers > 0) this.admission.roomMade();
    return count;
  }

  // ── out ───────────────────────────────────────────────────────────────────

  /** The attempt of `count` items of `job`, from `index` on, succeeded. */
  complete(job: Job, index: number, count: number, attempts: number): void {
    this.running -= count;
    if (job.orderKeys !== undefined) this.passOn(job, index, count);
    this.settlement.complete(job, index, count, attempts);
    this.left();
  }

  /** The attempt failed: the item is retried, dies, is dropped with its job, or is spared as the process or its pool ends. */
  fail(item: TakenItem, error: Error): void {
    const verdict = this.settlement.judge(item, error);
    this.running--;
    if (item.job.orderKeys !== undefined) this.keepOrder(item, verdict);
    switch (verdict.kind) {
      case 'retry':
        // Before anybody is told, who may cancel it.
        this.delayed.add(
          new Envelope(item.payload, item.job, item.index, item.attempt),
          this.setting.clock.now() + verdict.delayMs,
        );
        this.settlement.retried(item, verdict);
        break;
      case 'dead':
        this.settlement.died(item, verdict);
        break;
      case 'cancelled':
        this.settlement.cancel(item.job, 1);
        break;
      case 'handed-back':
        this.settlement.handBack(item);
        break;
      case 'put-back':
        // For nobody to take: it waits for the process's end.
        this.queue.pushEnvelope(new Envelope(item.payload, item.job, item.index, item.attempt - 1));
        break;
      default:
        verdict satisfies never;
    }
    this.pauseWhenFullOfDead();
    this.left();
  }

  private keepOrder({ job, index }: TakenItem, { kind }: Verdict): void {
    if (kind === 'retry' || kind === 'put-back') this.order!.stays(job, index);
    else this.passOn(job, index, 1);
  }

  private left(): void {
    if (this.depth < this.lowestDepth) this.crossed();
    if (this.running === 0 && this.conditions.any) this.conditions.look();
  }

  /** Brings what awaits a retry, of `jobs` or of all jobs, back to the queue now. @returns how many items */
  retryNow(jobs?: Iterable<Job>): number {
    if (jobs === undefined) return this.delayed.releaseRetries();
    const waiting = new Set([...jobs].filter((job) => job.delayed > 0));
    return waiting.size === 0 ? 0 : this.delayed.releaseRetries(waiting);
  }

  // ── unique keys ───────────────────────────────────────────────────────────

  /** The keys of items that may not come twice. */
  get uniqueKeys(): UniqueKeys {
    return this.settlement.uniqueKeys;
  }

  /** Lets go of all keys that `job` still holds. */
  releaseKeys(job: Job): void {
    this.settlement.releaseKeys(job, 0, job.uniqueKeys!.length);
  }

  // ── dead letters ──────────────────────────────────────────────────────────

  get deadLetters(): DeadLetterStore {
    return this.settlement.deadLetters;
  }

  /** Puts dead letters back into the queue, with all their attempts before them. @returns how many there were */
  redrive(ids: readonly string[]): number {
    const items = ids.flatMap((id) => this.settlement.exhume(id) ?? []);
    if (items.length === 0) return 0;
    this.undrop(items);
    for (const { job, letter } of items) {
      this.queueUp(new Envelope(letter.payload, job, letter.index, 0));
    }
    this.resumeWhenRoomForDead();
    this.arrived();
    return items.length;
  }

  /** Items of cancelled jobs run again: what was dropped of the jobs must not come back with them. */
  private undrop(items: readonly DeadItem[]): void {
    if (!items.some(({ job }) => job.isDropped)) return;
    this.queue.takeOutDropped();
    this.delayed.takeOutDropped();
    for (const { job } of items) job.isDropped = false;
  }

  /** Forgets dead letters for good. @returns how many there were */
  discard(ids: readonly string[]): number {
    const count = ids.filter((id) => this.deadLetters.remove(id) !== undefined).length;
    if (count > 0) this.resumeWhenRoomForDead();
    return count;
  }

  private get isFullOfDead(): boolean {
    return this.deadLetters.size >= this.options.maxDeadLetters;
  }

  private pauseWhenFullOfDead(): void {
    if (this.isFullOfDead) this.pause('dead-letters-full');
  }

  private resumeWhenRoomForDead(): void {
    if (!this.isFullOfDead) this.resume('dead-letters-full');
  }

  // ── pause, cancel, shutdown ───────────────────────────────────────────────

  pause(reason: PauseReason): void {
    if (this.pauseReasons.has(reason)) return;
    this.pauseReasons.add(reason);
    this.isGuarded = true;
    this.setting.events.emit('paused', { type: this.type, reason });
    this.crossed();
    this.conditions.look();
  }

  resume(reason: PauseReason): void {
    if (!this.pauseReasons.delete(reason)) return;
    this.isGuarded = this.isPaused || this.limiter !== undefined || this.order !== undefined;
    this.setting.events.emit('resumed', { type: this.type, reason });
    this.crossed();
  }

  /** Drops the items of a cancelled job that no worker holds. */
  dropJob(job: Job): void {
    job.isDropped = true;
    const dropped = this.queue.drop(job) + this.delayed.drop(job) + this.dropFromOrder(job);
    if (dropped > 0) this.settlement.cancel(job, dropped);
    if (this.admission.waitingProducers > 0) this.admission.letIn();
    this.left();
  }

  /** @returns how many waited for the one before them */
  private dropFromOrder(job: Job): number {
    if (job.orderKeys === undefined || this.order === undefined) return 0;
    const { count, next } = this.order.drop(job);
    for (const envelope of next) this.queue.pushEnvelope(envelope);
    if (next.length > 0) this.arrived();
    return count;
  }

  /** The process ends: turns producers away that wait for room. An item whose handler submits in vain goes to `receive`. */
  startDraining(receive: (item: UnfinishedItem) => void): void {
    this.settlement.startDraining(receive);
    this.admission.close();
  }

  /** No worker will take an item any more: one whose attempt fails from now on waits again, as if it had not been tried. */
  poolEnds(): void {
    this.limiter?.stop();
    this.settlement.poolEnds();
  }

  /** What is handed back goes to `receive` from now on. */
  handBackTo(receive: (item: UnfinishedItem) => void): void {
    this.settlement.handBackTo(receive);
  }

  /** Hands back all that waits or is delayed, and at once whatever still comes. */
  handBackHeld(): void {
    this.handsBackAll = true;
    this.delayed.releaseAll();
    const item: TakenItem = { payload: undefined, job: NOBODY, index: 0, attempt: 0 };
    while (this.queue.take(item)) {
      const next = item.job.orderKeys === undefined ? undefined : this.order!.leave(item.job, item.index);
      if (next !== undefined) this.queue.pushEnvelope(next);
      this.settlement.handBack(item);
    }
    this.left();
  }

  // ── waited for ────────────────────────────────────────────────────────────

  /** Resolves when `isDone`. */
  whenDone(): Promise<void> {
    return this.conditions.when(() => this.isDone);
  }

  /** Whether nothing runs, and nothing that may start is due by `deadlineMs` of the clock. */
  hasNothingDueBy(deadlineMs: number): boolean {
    if (this.running > 0) return false;
    if (this.isPaused) return true;
    return this.queue.size === 0 && (this.delayed.nextDueMs ?? Infinity) > deadlineMs;
  }

  /** Resolves when `hasNothingDueBy`. */
  whenNothingDueBy(deadlineMs: number): Promise<void> {
    return this.conditions.when(() => this.hasNothingDueBy(deadlineMs));
  }

  // ── watched by the pool ───────────────────────────────────────────────────

  /** Asks to be told once when the depth falls below `lowest` or rises above `highest`. */
  watchDepth(lowest: number, highest: number): void {
    this.lowestDepth = lowest;
    this.highestDepth = highest;
  }

  private crossed(): void {
    this.watchDepth(0, Infinity);
    this.listener.depthCrossed();
  }
}
