import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock, Timer } from './clock.js';
import { describe } from './describe.js';
import { JobCancelledError, ShutdownError, UnknownWorkerTypeError } from './errors.js';
import type { EventChannel, ScaleReason, WorkerProcessEvents } from './events.js';
import type { Job } from './job.js';
import { boolean, findProblems, refuseProblems } from './option-rules.js';
import type { PerformanceReport } from './performance-report.js';
import { PoolShare, type WorkerSource } from './pool-share.js';
import { ScaleChanges } from './scale-changes.js';
import { shareSlots } from './share-slots.js';
import type { TimeSlices } from './time-slices.js';
import type { Workload } from './workload.js';

/** How often targets are looked at between threshold crossings, in milliseconds. */
const REVIEW_MS = 100;
/** How long a worker type keeps its slot when more types want one than there are, in milliseconds. */
const TURN_MS = 50;

/**
 * All running workers of an application, a share for each worker type. Never more than `maxConcurrency` live, in all or
 * of a type. Shares grow and shrink with the queues, and take from one another when there are not enough slots.
 */
export class WorkerPool {
  /**
   * @internal Workers outlive the request or the message whose item started them. Without this, they would carry
   * its AsyncLocalStorage along, and log under its id for ever.
   */
  readonly detached: <Result>(act: () => Result) => Result = AsyncLocalStorage.snapshot();
  /** In the order of their turns, which matters only when there are more hungry types than slots. */
  private readonly shares: PoolShare[] = [];
  private readonly byType = new Map<string, PoolShare>();
  private readonly toWake = new Set<PoolShare>();
  private readonly changes: ScaleChanges;
  private reviewPending = false;
  private isReviewing = false;
  private reviewAgain = false;
  private reviewTimer: Timer | undefined = undefined;
  private reviewPeriodMs = REVIEW_MS;
  private reviewKeepsAlive = true;
  private outnumbered = false;
  private state: 'held' | 'open' | 'closing' = 'held';
  private emptyWaiters: (() => void)[] = [];
  private readonly startedAtMs: number;
  /** @internal Called as somebody ends the pool, before any handler is aborted: no work may come to it then. */
  onEnd: () => void = () => undefined;

  /** @internal */
  constructor(
    /** Most workers at a time over all types. */
    readonly maxConcurrency: number,
    private readonly events: EventChannel,
    private readonly clock: Clock,
    private readonly slices: TimeSlices,
  ) {
    this.startedAtMs = clock.now();
    this.changes = new ScaleChanges(events);
  }

  /** @internal Gives a worker type its share. */
  register(workload: Workload, source: WorkerSource): void {
    this.refuseTooManyKept(workload);
    const share = new PoolShare(workload, source, this, this.events, this.clock, this.slices);
    this.shares.push(share);
    this.byType.set(workload.type, share);
    workload.attach({ itemsArrived: () => share.itemsArrived(), depthCrossed: () => this.reviewSoon() });
    if (workload.options.minWorkers > 0) this.reviewSoon();
  }

  /** Workers that stay in excess of the slots would be made and ended for ever. */
  private refuseTooManyKept({ type, options: { minWorkers } }: Workload): void {
    const kept = this.shares.reduce((sum, { workload }) => sum + workload.options.minWorkers, 0);
    if (minWorkers === 0 || kept + minWorkers <= this.maxConcurrency) return;
    refuseProblems(`Worker type ${JSON.stringify(type)}`, [
      `minWorkers: expected at most ${Math.max(0, this.maxConcurrency - kept)}, as other types keep ${kept} of the ` +
        `${this.maxConcurrency} workers (maxConcurrency), got ${minWorkers}`,
    ]);
  }

  /** Workers that live, of one type or of all. @throws UnknownWorkerTypeError */
  workerCount(type?: string): number {
    if (type !== undefined) return this.shareOf(type).size;
    return this.shares.reduce((sum, share) => sum + share.size, 0);
  }

  /** Items that ended since the start, completed or dead. */
  get totalItemsProcessed(): number {
    return this.shares.reduce((sum, { workload }) => sum + workload.processed, 0);
  }

  /**
   * Starts one more worker of the type, beyond what the scaling policy wants; it ends when it has been idle, or when
   * fewer workers have been wanted for `scaleDownDelayMs`.
   *
   * @returns false when the type or the pool is at its limit, the pool is not open, or a worker of the type could not start
   *   and the next one is not due yet
   * @throws UnknownWorkerTypeError
   */
  addWorker(type: string): boolean {
    const share = this.shareOf(type);
    if (!this.hasRoom()) return false;
    if (share.active >= share.workload.options.maxConcurrency) return false;
    const before = share.active;
    share.overrideTarget(Math.max(share.target, before + 1));
    share.settleWorkers();
    this.armReview();
    const isAdded = share.active > before;
    this.changes.tell();
    return isAdded;
  }

  /**
   * Takes one worker of the type away as soon as it holds nothing. The scaling policy may bring one back.
   *
   * @returns false when it has none, or the pool is not open
   * @throws UnknownWorkerTypeError
   */
  removeWorker(type: string): boolean {
    const share = this.shareOf(type);
    if (!this.isOpen || share.active === 0) return false;
    share.overrideTarget(share.active - 1);
    share.settleWorkers();
    this.changes.tell();
    return true;
  }

  private shareOf(type: string): PoolShare {
    const share = this.byType.get(type);
    if (share === undefined) throw new UnknownWorkerTypeError(type, [...this.byType.keys()]);
    return share;
  }

  /**
   * How each worker type does.
   *
   * @param since a former report: rates and means cover the time since then. Default: since the start
   * @throws InvalidOptionsError when it is none
   */
  reportPerformance(since?: PerformanceReport): PerformanceReport {
    if (since !== undefined && !Array.isArray(since?.types)) {
      refuseProblems('reportPerformance()', [`since: expected a former report, got ${describe(since)}`]);
    }
    const atMs = this.clock.now();
    const intervalMs = atMs - (since?.atMs ?? this.startedAtMs);
    const former = new Map(since?.types.map((performance) => [performance.type, performance]));
    return {
      atMs,
      intervalMs,
      totalItemsProcessed: this.totalItemsProcessed,
      workers: this.workerCount(),
      types: this.shares.map((share) => share.report(intervalMs, former.get(share.type))),
    };
  }

  /**
   * Ends all workers: aborts the signals of running handlers and waits until they have returned; with `force`, lets
   * go of them at once, and tells by `workerFailed` of workers that have not started or stopped. The process takes no more
   * work then. An attempt that fails after this was called costs its item nothing: it waits again, for the process's
   * `shutdown` to hand it back. To let work finish first, use that alone.
   *
   * @throws InvalidOptionsError
   */
  async shutdown(options: { readonly force?: boolean } = {}): Promise<void> {
    refuseProblems('pool.shutdown()', findProblems(options, { force: boolean }));
    const { force = false } = options;
    this.state = 'closing';
    this.onEnd();
    this.close();
    const reason = new ShutdownError();
    for (const share of this.shares) {
      if (force) share.letGoAll(reason);
      else share.abortAll(reason);
    }
    this.workersChanged();
    await this.whenEmpty();
    for (const share of this.shares) share.stopWatching();
  }

  /** @internal Whether workers may start. */
  get isOpen(): boolean {
    return this.state === 'open';
  }

  /** @internal Lets workers start. */
  open(): void {
    if (this.state !== 'held') return;
    this.state = 'open';
    this.reviewSoon();
  }

  /** @internal No worker starts from now on, and each ends when it holds nothing. */
  close(): void {
    this.state = 'closing';
    this.disarmReview();
    for (const share of this.shares) {
      share.setTarget(0, 'shutdown');
      share.settleWorkers();
    }
    this.changes.tell();
  }

  /** @internal Resolves when no worker lives; abandoned handlers don't count. */
  whenEmpty(): Promise<void> {
    if (this.workerCount() === 0) return Promise.resolve();
    return new Promise((resolve) => this.emptyWaiters.push(resolve));
  }

  /** @internal */
  abortJob(job: Job): void {
    this.byType.get(job.type)?.abortJob(job, new JobCancelledError(job.id));
  }

  /** @internal Whether one more worker may live. */
  hasRoom(): boolean {
    return this.state === 'open' && this.workerCount() < this.maxConcurrency;
  }

  /** @internal A worker is gone, or wants to be replaced. */
  workersChanged(): void {
    if (this.workerCount() === 0) for (const resolve of this.emptyWaiters.splice(0)) resolve();
    this.reviewSoon();
  }

  /** @internal A target changed, and is to be told of once the pool is in order again. */
  targetChanged(change: WorkerProcessEvents['scaled']): void {
    this.changes.add(change);
  }

  /** @internal Items arrived for parked workers of the share. */
  wakeSoon(share: PoolShare): void {
    this.toWake.add(share);
    if (this.toWake.size === 1) queueMicrotask(() => this.wake());
  }

  private wake(): void {
    const shares = [...this.toWake];
    this.toWake.clear();
    for (const share of shares) share.settleWorkers();
  }

  /** Reviews once at the end of this synchronous stretch, however often it is asked to. */
  private reviewSoon(): void {
    if (this.reviewPending || this.state !== 'open') return;
    this.reviewPending = true;
    queueMicrotask(() => {
      this.reviewPending = false;
      this.detached(() => this.review());
    });
  }

  /**
   * @internal Sets each type's target, and makes it so. A function of the user's that asks for it in the middle of it
   * has it done once more afterwards; one that asks each time waits for the next review.
   */
  review(): void {
    this.reviewAgain = this.isReviewing;
    if (this.isReviewing || !this.isOpen) return;
    this.isReviewing = true;
    try {
      this.setTargets();
      if (this.reviewAgain) this.setTargets();
    } finally {
      this.isReviewing = false;
    }
    this.changes.tell();
  }

  private setTargets(): void {
    const nowMs = this.clock.now();
    if (this.outnumbered) this.passTurns(nowMs);
    // The policies that are asked may make another type known, or end the pool.
    const shares = [...this.shares];
    const wanted = shares.map(({ scale }) => scale.wanted(nowMs));
    if (!this.isOpen) return;
    const slots = shareSlots(wanted, this.maxConcurrency);
    this.outnumbered = wanted.filter((workers) => workers > 0).length > this.maxConcurrency;
    let left = this.maxConcurrency - slots.reduce((sum, count) => sum + count, 0);
    shares.forEach((share, index) => {
      share.endIdle(nowMs, slots[index]!);
      // Nobody needs the slots that are left: idle workers may keep them until their idle timeout.
      const kept = share.mayIdle ? Math.min(left, Math.max(0, share.active - slots[index]!)) : 0;
      left -= kept;
      share.setTarget(slots[index]! + kept, scaleReason(share, wanted[index]!, slots[index]!));
    });
    for (const share of shares) {
      share.settleWorkers();
      share.scale.watchDepth();
    }
    this.armReview();
  }

  /** Types that have had their turn go to the end of the line. */
  private passTurns(nowMs: number): void {
    const served = this.shares.filter((share) => share.hasHadTurn(nowMs, TURN_MS));
    for (const share of served) {
      this.shares.splice(this.shares.indexOf(share), 1);
      this.shares.push(share);
    }
  }

  /** Sees to it that there is a review in time. A timer that runs already is left: reviews may follow one another fast. */
  private armReview(): void {
    const hasWork = this.shares.some(({ workload }) => workload.depth > 0);
    const lacksWorkers = this.shares.some((share) => share.active < share.target);
    if (this.state !== 'open' || (!hasWork && !lacksWorkers && this.workerCount() === 0)) {
      this.disarmReview();
      return;
    }
    const periodMs = this.outnumbered ? TURN_MS : REVIEW_MS;
    if (this.reviewTimer === undefined || this.reviewPeriodMs !== periodMs) this.setReviewTimer(periodMs);
    // Idle workers alone are no reason to keep a process alive.
    if (this.reviewKeepsAlive !== hasWork) this.reviewTimer!.keepAlive(hasWork);
    this.reviewKeepsAlive = hasWork;
  }

  private setReviewTimer(periodMs: number): void {
    this.disarmReview();
    this.reviewPeriodMs = periodMs;
    this.reviewKeepsAlive = true;
    this.reviewTimer = this.clock.setTimer(() => {
      this.reviewTimer = undefined;
      this.detached(() => this.review());
    }, periodMs);
  }

  private disarmReview(): void {
    this.reviewTimer?.cancel();
    this.reviewTimer = undefined;
  }
}

function scaleReason(share: PoolShare, wanted: number, given: number): ScaleReason {
  if (share.workload.isPaused) return 'paused';
  if (share.workload.depth === 0) return 'idle';
  return given < wanted ? 'shared-slots' : 'queue-size';
}
