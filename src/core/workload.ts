import { Admission } from './admission.js';
import { Backlog } from './backlog.js';
import type { WorkCounts } from './counts.js';
import { Conditions } from './conditions.js';
import type { DeadLetterStore } from './dead-letters.js';
import { DeadLettersFullError } from './errors.js';
import type { PauseReason, UnfinishedItem } from './events.js';
import type { JobHome } from './job-home.js';
import type { Job } from './job.js';
import type { WorkerTypeOptions } from './options.js';
import { burstOf } from './rate-limiter.js';
import { Settlement, type Verdict } from './settlement.js';
import type { WorkloadSetting } from './workload-setting.js';
import type { TakenBatch, TakenItem } from './waiting-items.js';
import type { UniqueKeys } from './unique-keys.js';

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
  readonly admission: Admission;
  /** Items that a handler is given at once, at the most. */
  readonly itemsAtOnce: number;
  private readonly backlog: Backlog;
  private readonly settlement: Settlement;
  private readonly pauseReasons = new Set<PauseReason>();
  private readonly conditions = new Conditions();
  private submitted = 0;
  /** This process's part of the items that wait in a store which it shares with others. */
  private outside = 0;
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
    this.type = offered.type;
    this.settlement = new Settlement(this.type, options.retry, setting);
    this.admission = new Admission(this, options, setting.clock, (forMs) => this.tellStandstill(forMs));
    this.itemsAtOnce = Math.min(
      setting.itemsAtOnce,
      options.rateLimit ? burstOf(options.rateLimit) : Infinity,
    );
    this.backlog = new Backlog(options, setting.clock, {
      arrived: () => this.arrived(),
      refilled: () => this.listener.itemsArrived(),
    });
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

  isPausedBy(reason: PauseReason): boolean {
    return this.pauseReasons.has(reason);
  }

  /** Items that wait for a worker alone. */
  get waiting(): number {
    return this.backlog.waiting;
  }

  /** Items that the bound counts: those that wait and those that are delayed. */
  get held(): number {
    return this.backlog.size;
  }

  /** Items that want a worker: those that wait and those that run, and this process's part of those in a shared store. */
  get depth(): number {
    return this.backlog.waiting + this.running + this.outside;
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
    const { completed, dead, cancelled, handedBack, returned, failedAttempts } = this.settlement;
    return {
      submitted: this.submitted,
      completed,
      dead,
      cancelled,
      handedBack,
      returned,
      waiting: this.backlog.waiting + this.backlog.blocked,
      delayed: this.backlog.delayedItems,
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
    this.backlog.add(job, payload);
    this.submitted++;
    this.arrived();
  }

  /** Takes `payloads[from .. to)` in without asking for room; for a producer whose turn it is. */
  admitMany(job: Job, payloads: readonly unknown[], from: number, to: number): void {
    if (to === from) return;
    this.backlog.addMany(job, payloads, from, to);
    this.submitted += to - from;
    this.arrived();
  }

  /**
   * Takes items in that this process has leased, in the order of their indices.
   *
   * @param attempts those that each of them has behind it; undefined for none
   */
  admitLeased(job: Job, payloads: readonly unknown[], attempts: readonly number[] | undefined): void {
    this.backlog.addLeased(job, payloads, attempts);
    this.submitted += payloads.length;
    this.arrived();
  }

  /** Sets how many items that wait elsewhere count for the number of workers. */
  setOutside(items: number): void {
    this.outside = items;
    if (this.depth > this.highestDepth || this.depth < this.lowestDepth) this.crossed();
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
    if (!this.backlog.take(item)) return false;
    this.running++;
    if (this.admission.waitingProducers > 0) this.admission.roomMade();
    return true;
  }

  /** Items that workers had better ask for now, by pauses and the rate limit. */
  get startable(): number {
    return this.backlog.startable;
  }

  /** Workers that can have something to do now, by the rate limit. */
  get usefulWorkers(): number {
    if (this.options.rateLimit === undefined) return Infinity;
    return Math.max(1, Math.ceil((this.running + this.startable) / this.itemsAtOnce));
  }

  /** @returns how many were taken */
  takeBatch(batch: TakenBatch, limit: number): number {
    const count = this.backlog.takeBatch(batch, limit);
    this.running += count;
    if (count > 0 && this.admission.waitingProducers > 0) this.admission.roomMade();
    return count;
  }

  // ── out ───────────────────────────────────────────────────────────────────

  /** The attempt of `count` items of `job`, from `index` on, succeeded. */
  complete(job: Job, index: number, count: number, attempts: number): void {
    this.running -= count;
    if (job.options !== undefined) this.passOn(job, index, count);
    this.settlement.complete(job, index, count, attempts);
    this.left();
  }

  /** The attempt failed: the item is retried, dies, is dropped with its job, or is spared as the process or its pool ends. */
  fail(item: TakenItem, error: Error): void {
    const verdict = this.settlement.judge(item, error);
    this.running--;
    switch (verdict.kind) {
      case 'retry':
        this.retry(item, verdict);
        break;
      case 'dead':
        this.passOn(item.job, item.index, 1);
        this.settlement.died(item, verdict);
        break;
      case 'cancelled':
        this.passOn(item.job, item.index, 1);
        this.settlement.drop(item);
        break;
      case 'handed-back':
        this.passOn(item.job, item.index, 1);
        this.settlement.handBack(item);
        break;
      case 'put-back':
        // For nobody to take: it waits for the process's end.
        this.backlog.putBack(item);
        break;
      default:
        verdict satisfies never;
    }
    this.pauseWhenFullOfDead();
    this.left();
  }

  private retry(item: TakenItem, verdict: Extract<Verdict, { kind: 'retry' }>): void {
    const keeper = item.job.options?.keeper;
    if (keeper !== undefined) {
      this.settlement.retriedElsewhere(item, keeper, verdict);
      return;
    }
    // Before anybody is told, who may cancel it.
    this.backlog.retry(item, verdict.delayMs);
    this.settlement.retried(item, verdict);
  }

  /** Lets the items go that come after these, which have ended. */
  private passOn(job: Job, index: number, count: number): void {
    if (job.orderKeys === undefined) return;
    this.backlog.passOn(job, index, count);
    this.arrived();
  }

  private left(): void {
    if (this.depth < this.lowestDepth) this.crossed();
    if (this.running === 0 && this.conditions.any) this.conditions.look();
  }

  /** Brings what awaits a retry, of `jobs` or of all jobs, back to the queue now. @returns how many items */
  retryNow(jobs?: Iterable<Job>): number {
    if (jobs === undefined) return this.backlog.releaseRetries(undefined);
    const waiting = new Set([...jobs].filter((job) => job.delayed > 0));
    return waiting.size === 0 ? 0 : this.backlog.releaseRetries(waiting);
  }

  // ── unique keys ───────────────────────────────────────────────────────────

  /** The keys of items that may not come twice. */
  get uniqueKeys(): UniqueKeys {
    this.backlog.expectUniqueKeys();
    return this.settlement.uniqueKeys;
  }

  // ── dead letters ──────────────────────────────────────────────────────────

  get deadLetters(): DeadLetterStore {
    return this.settlement.deadLetters;
  }

  /** Puts dead letters back into the queue, with all their attempts before them. @returns how many there were */
  redrive(ids: readonly string[]): number {
    const items = ids.flatMap((id) => this.settlement.exhume(id) ?? []);
    if (items.length === 0) return 0;
    this.backlog.redrive(items);
    this.resumeWhenRoomForDead();
    this.arrived();
    return items.length;
  }

  /** Forgets dead letters for good. @returns how many there were */
  discard(ids: readonly string[]): number {
    const count = ids.filter((id) => this.settlement.discard(id)).length;
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
    this.backlog.setPaused(true);
    this.setting.events.emit('paused', { type: this.type, reason });
    this.crossed();
    this.conditions.look();
  }

  resume(reason: PauseReason): void {
    if (!this.pauseReasons.delete(reason)) return;
    this.backlog.setPaused(this.isPaused);
    this.setting.events.emit('resumed', { type: this.type, reason });
    this.crossed();
  }

  /** Drops the items of a cancelled job that no worker holds. */
  dropJob(job: Job): void {
    job.isDropped = true;
    const dropped = this.backlog.drop(job);
    // Before anybody is told, who may submit them anew.
    job.uniqueKeys?.releaseWaiting();
    if (dropped > 0) this.settlement.cancel(job, dropped);
    if (this.admission.waitingProducers > 0) this.admission.letIn();
    // What came after its items by their keys may start now.
    if (job.orderKeys !== undefined) this.arrived();
    this.left();
  }

  /** The process ends: turns producers away that wait for room. An item whose handler submits in vain goes to `receive`. */
  startDraining(receive: (item: UnfinishedItem) => void): void {
    this.settlement.startDraining(receive);
    this.admission.close();
  }

  /** No worker will take an item any more: one whose attempt fails from now on waits again, as if it had not been tried. */
  poolEnds(): void {
    this.backlog.stop();
    this.settlement.poolEnds();
  }

  /** What is handed back goes to `receive` from now on. */
  handBackTo(receive: (item: UnfinishedItem) => void): void {
    this.settlement.handBackTo(receive);
  }

  /** Hands back all that waits or is delayed, and at once whatever still comes. */
  handBackHeld(): void {
    this.handsBackAll = true;
    this.backlog.empty((item) => this.settlement.handBack(item));
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
    return this.backlog.nextStartMs > deadlineMs;
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
