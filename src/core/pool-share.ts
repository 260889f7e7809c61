import { BatchRunner } from './batch-runner.js';
import type { Clock } from './clock.js';
import { ShutdownError, TimeLimitError, type BackgroundWorkerError } from './errors.js';
import type { EventChannel, ScaleReason, WorkerProcessEvents } from './events.js';
import { ItemRunner } from './item-runner.js';
import type { Job } from './job.js';
import { AttemptDurations, type TypePerformance } from './performance-report.js';
import type { Runner, RunnerHome, RunnerSetting } from './runner.js';
import { ShareScale } from './share-scale.js';
import { StartBackoff } from './start-backoff.js';
import { TimeLimitWatch } from './time-limit-watch.js';
import type { TimeSlices } from './time-slices.js';
import type { WorkerFailure } from './worker-failure.js';
import type { Worker, WorkerMode } from './worker.js';
import type { Workload } from './workload.js';

/** Makes the workers of a type. */
export interface WorkerSource {
  readonly mode: WorkerMode;
  readonly create: () => Worker<never> | Promise<Worker<never>>;
}

/** What a share asks of its pool. */
export interface PoolOfShares {
  /** Runs `act` outside whatever asynchronous context it is called in. */
  detached<Result>(act: () => Result): Result;
  /** Whether workers may start. */
  readonly isOpen: boolean;
  /** Whether one more worker may live. */
  hasRoom(): boolean;
  /** A worker is gone, or wants to be replaced. */
  workersChanged(): void;
  /** A target changed, and is to be told of once the pool is in order again. */
  targetChanged(change: WorkerProcessEvents['scaled']): void;
  /** Items arrived for parked workers of the share. */
  wakeSoon(share: PoolShare): void;
}

/** The workers of one type: its share of the worker pool. The pool sets the target; this makes it so. */
export class PoolShare implements RunnerHome {
  active = 0;
  target = 0;
  readonly scale: ShareScale;
  /** Since when it has a slot and a worker that is ready; undefined until then. For turns. */
  private servedSinceMs: number | undefined = undefined;
  private readonly runners = new Set<Runner>();
  /** Runners of which a call of the user's runs on that nobody waits for. */
  private readonly abandoned = new Set<Runner>();
  private readonly parked: Runner[] = [];
  private readonly setting: RunnerSetting;
  private readonly watch: TimeLimitWatch;
  private readonly durations = new AttemptDurations();
  private readonly backoff: StartBackoff;

  constructor(
    readonly workload: Workload,
    private readonly source: WorkerSource,
    private readonly pool: PoolOfShares,
    private readonly events: EventChannel,
    private readonly clock: Clock,
    slices: TimeSlices,
  ) {
    this.scale = new ShareScale(workload, events);
    this.backoff = new StartBackoff(clock);
    this.setting = { workload, mode: source.mode, home: this, slices, events, clock };
    this.watch = new TimeLimitWatch(
      workload.options.timeoutMs,
      this.runners,
      (runner) => this.expire(runner),
      // A runner between two items takes the next one without a word.
      () => this.runners.size > this.parked.length,
      clock,
    );
  }

  get type(): string {
    return this.workload.type;
  }

  /** Workers that live, those that stop included. */
  get size(): number {
    return this.runners.size;
  }

  // ── how many ──────────────────────────────────────────────────────────────

  /** Whether its workers may stay although it wants fewer: they have nothing to do, and may have soon. */
  get mayIdle(): boolean {
    return this.workload.depth === 0 && !this.workload.isPaused;
  }

  setTarget(target: number, reason: ScaleReason): void {
    if (target === this.target) return;
    const from = this.target;
    this.target = target;
    if (this.workload.depth === 0) this.scale.override(target);
    // A worker that was busy when the last slot was taken away is ready already.
    if (from === 0) this.servedSinceMs = this.hasReadyWorker ? this.clock.now() : undefined;
    this.pool.targetChanged({ type: this.type, from, to: target, reason, queueSize: this.workload.depth });
  }

  private get hasReadyWorker(): boolean {
    return [...this.runners].some(({ phase }) => phase === 'work');
  }

  /** Counts `target` as what the formula gave, so that it is not taken back before the smoothing would. */
  overrideTarget(target: number): void {
    this.scale.override(target);
    this.setTarget(target, 'requested');
  }

  /** Whether its slots shall go to other types: it has used them for `turnMs`, or can't use them yet. */
  hasHadTurn(nowMs: number, turnMs: number): boolean {
    if (this.target === 0) return false;
    if (this.active === 0) return !this.backoff.isDue;
    // Before, its worker would be taken away without having done anything, turn after turn.
    return this.servedSinceMs !== undefined && nowMs - this.servedSinceMs >= turnMs;
  }

  // ── making it so ──────────────────────────────────────────────────────────

  /** Ends surplus parked workers, wakes parked ones for what waits, and starts what is missing. */
  settleWorkers(): void {
    while (this.active > this.target && this.parked.length > 0) this.dismiss(this.parked.shift()!);
    const { waiting, startable, options } = this.workload;
    const ready = Math.min(waiting, startable);
    const pieces = this.source.mode === 'batch' ? Math.ceil(ready / options.batchSize) : ready;
    const toWake = Math.min(pieces, this.parked.length);
    if (toWake > 0) this.watch.start();
    for (let woken = 0; woken < toWake; woken++) this.parked.pop()!.wake();
    while (this.active < this.target && this.pool.hasRoom() && this.backoff.isDue) this.start();
    if (this.parked.length > 0) this.workload.hungry = true;
  }

  /** Ends workers beyond `slots`, those that are wanted, that have been idle for too long: others would take their place. */
  endIdle(nowMs: number, slots: number): void {
    const { idleTimeoutMs } = this.workload.options;
    while (this.active > slots && this.parked.length > 0) {
      // The longest parked stands first: the last one parked is the first to be woken.
      if (nowMs - this.parked[0]!.parkedSinceMs < idleTimeoutMs) return;
      this.dismiss(this.parked.shift()!);
    }
  }

  private dismiss(runner: Runner): void {
    this.active--;
    runner.dismiss();
  }

  private start(): void {
    const runner =
      this.source.mode === 'batch' ? new BatchRunner(this.setting) : new ItemRunner(this.setting);
    this.runners.add(runner);
    this.active++;
    void this.pool.detached(() => this.live(runner));
  }

  private async live(runner: Runner): Promise<void> {
    const failure = await runner.live(this.source.create);
    this.runners.delete(runner);
    if (failure !== undefined) this.tellFailure(failure);
    if (runner.leftBehind !== undefined) {
      this.abandoned.add(runner);
      this.pauseWhenTooManyAbandoned();
    }
    this.pool.workersChanged();
    await runner.leftBehind;
    this.hasReturned(runner);
  }

  private tellFailure({ during, error }: WorkerFailure): void {
    const isTriedAgain = during !== 'stop' && this.pool.isOpen;
    const retryInMs = isTriedAgain ? this.backoff.failed() : undefined;
    this.events.emit('workerFailed', { type: this.type, during, error, retryInMs });
  }

  // ── told by the runners ───────────────────────────────────────────────────

  runnerReady(): void {
    this.backoff.succeeded();
    // Of the first one only: the replacements of workers that pass their time limit would prolong the turn for ever.
    this.servedSinceMs ??= this.clock.now();
    this.watch.start();
  }

  runnerParked(runner: Runner): void {
    this.parked.push(runner);
    this.workload.hungry = true;
    // An item may have come between the runner's look at the queue and this.
    if (this.workload.waiting > 0 && this.workload.startable > 0) this.itemsArrived();
  }

  runnerLeaves(): void {
    this.active--;
  }

  attemptTimed(durationMs: number, count: number, outcome: 'completed' | 'failed'): void {
    this.durations.add(durationMs);
    if (this.events.timesAttempts)
      this.events.emit('attempt', { type: this.type, count, durationMs, outcome });
  }

  /** Told by the workload: something waits that a parked worker could take. */
  itemsArrived(): void {
    this.pool.wakeSoon(this);
  }

  // ── time limit, cancel, shutdown ──────────────────────────────────────────

  private expire(runner: Runner): void {
    const { timeoutMs } = this.workload.options;
    const itemIds = this.retire(runner, new TimeLimitError(this.type, timeoutMs));
    this.events.emit('workerRetired', {
      type: this.type,
      itemIds,
      timeoutMs,
      abandoned: this.abandoned.size,
    });
    this.pauseWhenTooManyAbandoned();
    this.pool.workersChanged();
  }

  /** Takes what it holds away from a runner, and gives its place away. @returns the ids of the items */
  private retire(runner: Runner, reason: BackgroundWorkerError): string[] {
    this.runners.delete(runner);
    this.abandoned.add(runner);
    this.active--;
    return runner.retire(reason);
  }

  private pauseWhenTooManyAbandoned(): void {
    const isTooMany = this.abandoned.size > this.workload.options.maxAbandoned;
    if (isTooMany && this.pool.isOpen) this.workload.pause('too-many-abandoned');
  }

  private hasReturned(runner: Runner): void {
    if (!this.abandoned.delete(runner)) return;
    if (this.abandoned.size <= this.workload.options.maxAbandoned) this.workload.resume('too-many-abandoned');
  }

  abortJob(job: Job, reason: BackgroundWorkerError): void {
    for (const runner of this.runners) runner.abort(reason, job);
  }

  abortAll(reason: BackgroundWorkerError): void {
    for (const runner of this.runners) runner.abort(reason);
  }

  /** Waits for nobody any more: what handlers hold counts as failed, and workers that start or stop have failed to. */
  letGoAll(reason: BackgroundWorkerError): void {
    for (const runner of this.runners) if (runner.holding) this.retire(runner, reason);
    const notWaitedFor = new ShutdownError('The shutdown did not wait for it any longer');
    // Those too whose handlers may return later: a stop that hangs then must not keep the process alive by its time limit.
    for (const runner of [...this.runners, ...this.abandoned]) runner.letGo(notWaitedFor);
  }

  stopWatching(): void {
    this.watch.stop();
  }

  /** @param since a former report of the same type; undefined for the start */
  report(intervalMs: number, since: TypePerformance | undefined): TypePerformance {
    const { workload, durations } = this;
    const { counts } = workload;
    const completed = counts.completed - (since?.completed ?? 0);
    return {
      type: this.type,
      ...counts,
      workers: this.size,
      busyWorkers: [...this.runners].filter((runner) => runner.holding).length,
      targetWorkers: this.target,
      deadLetters: workload.deadLetters.size,
      itemsPerSecond: intervalMs > 0 ? (completed * 1_000) / intervalMs : 0,
      ...durations.totals(),
      meanAttemptMs: durations.meanSince(since),
      abandoned: this.abandoned.size,
    };
  }
}
