import { BatchRunner } from './batch-runner.js';
import type { Clock } from './clock.js';
import { TimeLimitError, type BackgroundWorkerError } from './errors.js';
import type { EventChannel, ScaleReason } from './events.js';
import { ItemRunner } from './item-runner.js';
import type { Job } from './job.js';
import { AttemptDurations, type TypePerformance } from './performance-report.js';
import type { Runner, RunnerHome, RunnerSetting } from './runner.js';
import {
  smooth,
  thresholdScaling,
  wantedWorkers,
  type ScalingInput,
  type ScalingPolicy,
  type SmoothedScale,
} from './scaling-policy.js';
import { TimeLimitWatch } from './time-limit-watch.js';
import type { TimeSlices } from './time-slices.js';
import { toError } from './to-error.js';
import type { Worker, WorkerMode } from './worker.js';
import type { Workload } from './workload.js';

/** Milliseconds before a worker is made again after the first failure; doubled at each further one. */
const FIRST_START_DELAY_MS = 500;
const LONGEST_START_DELAY_MS = 30_000;

/** Makes the workers of a type. */
export interface WorkerSource {
  readonly mode: WorkerMode;
  readonly create: () => Worker<never> | Promise<Worker<never>>;
}

/** What a share asks of its pool. */
export interface PoolOfShares {
  /** Runs `act` outside whatever asynchronous context it is called in. */
  detached<Result>(act: () => Result): Result;
  /** Whether one more worker may live. */
  hasRoom(): boolean;
  /** A worker is gone, or wants to be replaced. */
  workersChanged(): void;
  /** Items arrived for parked workers of the share. */
  wakeSoon(share: PoolShare): void;
}

/** The workers of one type: its share of the worker pool. The pool sets the target; this makes it so. */
export class PoolShare implements RunnerHome {
  active = 0;
  target = 0;
  /** When its first worker was ready after it got a slot; for turns. */
  servedSinceMs = 0;
  private readonly runners = new Set<Runner>();
  private readonly abandoned = new Set<Runner>();
  private readonly parked: Runner[] = [];
  private readonly setting: RunnerSetting;
  private readonly watch: TimeLimitWatch;
  private readonly durations = new AttemptDurations();
  private scale: SmoothedScale = { workers: 0, fewerSinceMs: undefined, peak: 0 };
  private policyFailed = false;
  private startFailures = 0;
  private startAgainAtMs = 0;
  private reported = 0;

  constructor(
    readonly workload: Workload,
    private readonly source: WorkerSource,
    private readonly pool: PoolOfShares,
    private readonly events: EventChannel,
    private readonly clock: Clock,
    slices: TimeSlices,
  ) {
    this.setting = { workload, home: this, slices, events, clock };
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

  get abandonedCount(): number {
    return this.abandoned.size;
  }

  // ── how many ──────────────────────────────────────────────────────────────

  /** Workers that the type wants now, smoothed. */
  wanted(nowMs: number): number {
    const { depth, isPaused, options, type } = this.workload;
    const { minWorkers, maxConcurrency, scalingThreshold, scalingPolicy, scaleDownDelayMs } = options;
    if (isPaused) return 0;
    if (depth === 0) return minWorkers;
    const input = { type, queueSize: depth, scalingThreshold, maxConcurrency, current: this.scale.workers };
    const wanted = Math.max(minWorkers, this.askPolicy(scalingPolicy, input));
    this.scale = smooth(this.scale, wanted, nowMs, scaleDownDelayMs);
    return this.scale.workers;
  }

  /** A policy that throws must not stop the pool: the default takes its place, and the first error in a row is told. */
  private askPolicy(policy: ScalingPolicy, input: ScalingInput): number {
    try {
      const answer = wantedWorkers(policy, input);
      this.policyFailed = false;
      return answer;
    } catch (error) {
      if (!this.policyFailed)
        this.events.emit('listenerFailed', { event: 'scalingPolicy', error: toError(error) });
      this.policyFailed = true;
      return wantedWorkers(thresholdScaling, input);
    }
  }

  /** Whether its workers may stay although it wants fewer: they have nothing to do, and may have soon. */
  get mayIdle(): boolean {
    return this.workload.depth === 0 && !this.workload.isPaused;
  }

  setTarget(target: number, reason: ScaleReason): void {
    if (target === this.target) return;
    const from = this.target;
    this.target = target;
    if (this.workload.depth === 0) this.scale = { workers: target, fewerSinceMs: undefined, peak: target };
    if (from === 0) this.servedSinceMs = this.clock.now();
    this.events.emit('scaled', { type: this.type, from, to: target, reason, queueSize: this.workload.depth });
  }

  /** Counts `target` as what the formula gave, so that it is not taken back before the smoothing would. */
  overrideTarget(target: number): void {
    this.scale = { workers: target, fewerSinceMs: undefined, peak: target };
    this.setTarget(target, 'requested');
  }

  /** Asks the workload to be told at the next multiple of the threshold, either way. */
  watchDepth(): void {
    const { depth, options } = this.workload;
    const { scalingThreshold: threshold, scalingPolicy, maxConcurrency, minWorkers } = options;
    if (depth === 0) {
      this.workload.watchDepth(0, 0);
    } else if (scalingPolicy === thresholdScaling) {
      // It is known where the formula gives another number, and which of its numbers smoothing takes heed of: the first
      // that is lower, and from then on those above the peak. Asking at the multiples between would change nothing.
      const { workers, fewerSinceMs, peak } = this.scale;
      const isFewer = fewerSinceMs !== undefined;
      const isLeast = workers <= Math.max(1, minWorkers);
      const heeded = isFewer ? peak : workers;
      const highest = heeded >= maxConcurrency ? Infinity : (heeded + 1) * threshold - 1;
      this.workload.watchDepth(isFewer || isLeast ? 0 : workers * threshold, highest);
    } else {
      const multiple = Math.floor(depth / threshold);
      this.workload.watchDepth(multiple * threshold, (multiple + 1) * threshold - 1);
    }
  }

  // ── making it so ──────────────────────────────────────────────────────────

  /** Ends surplus parked workers, wakes parked ones for what waits, and starts what is missing. */
  settleWorkers(): void {
    while (this.active > this.target && this.parked.length > 0) this.dismiss(this.parked.shift()!);
    const { waiting, isPaused, options } = this.workload;
    const pieces = this.source.mode === 'batch' ? Math.ceil(waiting / options.batchSize) : waiting;
    const toWake = isPaused ? 0 : Math.min(pieces, this.parked.length);
    if (toWake > 0) this.watch.start();
    for (let woken = 0; woken < toWake; woken++) this.parked.pop()!.wake();
    while (this.active < this.target && this.pool.hasRoom() && this.clock.now() >= this.startAgainAtMs)
      this.start();
    if (this.parked.length > 0) this.workload.hungry = true;
  }

  /** Ends workers that have been idle for too long. */
  endIdle(nowMs: number): void {
    const { idleTimeoutMs, minWorkers } = this.workload.options;
    while (this.active > minWorkers && this.parked.length > 0) {
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
    this.gone(runner, await runner.live(this.source.create));
  }

  private gone(runner: Runner, failure: { during: 'start' | 'stop'; error: Error } | undefined): void {
    this.runners.delete(runner);
    if (failure?.during === 'start') {
      this.active--;
      this.events.emit('workerFailed', { type: this.type, ...failure, retryInMs: this.delayStart() });
    } else if (failure !== undefined) {
      this.events.emit('workerFailed', { type: this.type, ...failure, retryInMs: undefined });
    }
    if (this.abandoned.delete(runner) && this.abandoned.size <= this.workload.options.maxAbandoned) {
      this.workload.resume('too-many-abandoned');
    }
    this.pool.workersChanged();
  }

  /** Workers that were started together and failed together count as one failure. @returns the delay */
  private delayStart(): number {
    const nowMs = this.clock.now();
    if (nowMs >= this.startAgainAtMs) {
      const delayMs = Math.min(LONGEST_START_DELAY_MS, FIRST_START_DELAY_MS * 2 ** this.startFailures++);
      this.startAgainAtMs = nowMs + delayMs;
    }
    return this.startAgainAtMs - nowMs;
  }

  // ── told by the runners ───────────────────────────────────────────────────

  runnerReady(_runner: Runner): void {
    this.startFailures = 0;
    this.servedSinceMs = this.clock.now();
    this.watch.start();
  }

  runnerParked(runner: Runner): void {
    this.parked.push(runner);
    this.workload.hungry = true;
    // An item may have come between the runner's look at the queue and this.
    if (this.workload.waiting > 0 && !this.workload.isPaused) this.itemsArrived();
  }

  runnerLeaves(_runner: Runner): void {
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
    const { timeoutMs, maxAbandoned } = this.workload.options;
    this.runners.delete(runner);
    this.abandoned.add(runner);
    this.active--;
    const itemIds = runner.retire(new TimeLimitError(this.type, timeoutMs));
    this.events.emit('workerRetired', {
      type: this.type,
      itemIds,
      timeoutMs,
      abandoned: this.abandoned.size,
    });
    if (this.abandoned.size > maxAbandoned) this.workload.pause('too-many-abandoned');
    this.pool.workersChanged();
  }

  abortJob(job: Job, reason: BackgroundWorkerError): void {
    for (const runner of this.runners) runner.abort(reason, job);
  }

  abortAll(reason: BackgroundWorkerError): void {
    for (const runner of this.runners) runner.abort(reason);
  }

  /** Lets go of handlers that did not return; what they held counts as failed. */
  retireAll(reason: BackgroundWorkerError): void {
    for (const runner of this.runners) {
      if (!runner.holding) continue;
      this.runners.delete(runner);
      this.abandoned.add(runner);
      this.active--;
      runner.retire(reason);
    }
  }

  stopWatching(): void {
    this.watch.stop();
  }

  report(intervalMs: number): TypePerformance {
    const counts = this.workload.counts;
    const itemsPerSecond = intervalMs > 0 ? ((counts.completed - this.reported) * 1_000) / intervalMs : 0;
    this.reported = counts.completed;
    return {
      type: this.type,
      ...counts,
      workers: this.active,
      busyWorkers: [...this.runners].filter((runner) => runner.holding).length,
      targetWorkers: this.target,
      deadLetters: this.workload.deadLetters.size,
      itemsPerSecond,
      meanAttemptMs: this.durations.takeMean(),
      abandoned: this.abandoned.size,
    };
  }
}
