import type { Clock } from './clock.js';
import { InvalidWorkerError, TimeLimitError } from './errors.js';
import type { EventChannel } from './events.js';
import { inTime } from './in-time.js';
import { isThenable } from './is-thenable.js';
import type { Job } from './job.js';
import type { TimeSlices } from './time-slices.js';
import { toError } from './to-error.js';
import type { WorkerFailure } from './worker-failure.js';
import { findModeProblem, type Worker, type WorkerMode } from './worker.js';
import type { Workload } from './workload.js';

/** The share of the pool that a runner belongs to. */
export interface RunnerHome {
  /** Runners that have not been told to end. */
  readonly active: number;
  /** Runners that there shall be. Compared with `active` between items, so that a surplus runner ends by itself. */
  readonly target: number;
  runnerReady(): void;
  runnerParked(runner: Runner): void;
  /** A runner ends by itself: there is one too many, or it can't work. */
  runnerLeaves(): void;
  attemptTimed(durationMs: number, count: number, outcome: 'completed' | 'failed'): void;
}

/** What all runners of a type share. */
export interface RunnerSetting {
  readonly workload: Workload;
  /** How the registered worker class gets its items. */
  readonly mode: WorkerMode;
  readonly home: RunnerHome;
  readonly slices: TimeSlices;
  readonly events: EventChannel;
  readonly clock: Clock;
}

/**
 * One place in the worker pool: makes its worker, gives it one piece of work after another, parks while there is
 * none, and stops it. Subclasses say what a piece is.
 *
 * ```
 * starting ─► working ⇄ parked ─► stopping ─► gone
 *                 └─► retired (past its time limit: settled by the watch, its handler runs on unheeded) ─► gone
 * ```
 *
 * A start and a stop may take as long as an attempt, and no longer than the pool waits; then the runner is gone without them.
 */
export abstract class Runner {
  /** What its worker does; `work` between two pieces as well. */
  phase: WorkerFailure['during'] = 'start';
  /** Whether a handler holds work that has not been settled. */
  holding = false;
  /** Attempts begun; tells the watch of time limits one attempt from the next. */
  sequence = 0;
  /** Set when the time limit or a shutdown took the work away: what the handler does from then on counts for nothing. */
  retired = false;
  /** Since when it is parked, in milliseconds of the clock. */
  parkedSinceMs = 0;
  /** Resolves when a start or stop that was not waited for has returned; undefined while there is none. */
  leftBehind: Promise<void> | undefined = undefined;
  /** Ends the wait for a start or a stop: the runner fails with the reason instead. */
  letGo!: (reason: Error) => void;
  /** For the watch of time limits: the attempt it last saw, and for how long. */
  readonly watched = { sequence: -1, forMs: 0 };
  private dismissed = false;
  /** When the attempt that is under way began, if it is timed, else -1. */
  private startedMs = -1;
  private timedSlice = -1;
  private whenWoken: (() => void) | undefined = undefined;
  private readonly whenLetGo: Promise<never>;

  constructor(protected readonly setting: RunnerSetting) {
    this.whenLetGo = new Promise((_, reject) => (this.letGo = reject));
    this.whenLetGo.catch(ignore);
  }

  /**
   * The life of the runner. Resolves when it is gone.
   *
   * @returns what went wrong, if its worker could not be made, started or stopped
   */
  async live(create: () => Worker<never> | Promise<Worker<never>>): Promise<WorkerFailure | undefined> {
    try {
      const worker = await this.waitFor('Start of a worker', this.start(create), (late) => late.onStop?.());
      this.phase = 'work';
      this.setting.home.runnerReady();
      await this.work(worker);
      this.phase = 'stop';
      await this.waitFor('Stop of a worker', Promise.resolve(worker.onStop?.()), ignore);
      return undefined;
    } catch (error) {
      if (this.phase !== 'stop') this.breakDown(toError(error));
      return { during: this.phase, error: toError(error) };
    }
  }

  /** Gives up its place, and what it holds. */
  private breakDown(error: Error): void {
    if (!this.dismissed) this.setting.home.runnerLeaves();
    if (this.holding) this.failHeld(error);
  }

  private async start(create: () => Worker<never> | Promise<Worker<never>>): Promise<Worker<never>> {
    const made = create();
    const worker = isThenable(made) ? await made : made;
    this.adopt(worker);
    await worker.onStart?.();
    return worker;
  }

  /** Looks at the worker before its first item. @throws InvalidWorkerError when it can't work */
  private adopt(worker: Worker<never>): void {
    const { workload, mode } = this.setting;
    const problem = findModeProblem(worker, mode);
    if (problem !== undefined) throw new InvalidWorkerError(workload.type, problem);
  }

  /**
   * Waits for a call of the user's, as long as an attempt may take and the pool waits.
   *
   * @param giveBack is given what comes too late
   * @throws TimeLimitError, or why the pool let go
   */
  private async waitFor<Result>(
    what: string,
    call: Promise<Result>,
    giveBack: (late: Result) => unknown,
  ): Promise<Result> {
    const { workload, clock } = this.setting;
    const { timeoutMs } = workload.options;
    let hasFailed = false;
    call.catch(() => (hasFailed = true));
    const waitedFor = Promise.race([call, this.whenLetGo]);
    try {
      return await inTime(
        clock,
        timeoutMs,
        waitedFor,
        () => new TimeLimitError(workload.type, timeoutMs, what),
      );
    } catch (error) {
      if (!hasFailed) this.leftBehind = call.then(giveBack).then(ignore, ignore);
      throw error;
    }
  }

  /** Works until the runner shall end. Rejects only when something else than a handler fails. */
  protected abstract work(worker: Worker<never>): Promise<void>;

  /** Aborts the signal of the held work; of `job` only, when it is given. */
  abstract abort(reason: Error, job?: Job): void;

  /** Settles the held work as failed, in place of the handler. @returns the ids of its items */
  protected abstract failHeld(error: Error): string[];

  /** Takes the held work away from a handler that will not be waited for. @returns the ids of its items */
  retire(error: Error): string[] {
    this.retired = true;
    this.dismissed = true;
    this.abort(error);
    const durationMs = this.stopTiming();
    const ids = this.failHeld(error);
    if (durationMs >= 0) this.setting.home.attemptTimed(durationMs, ids.length, 'failed');
    return ids;
  }

  /** Makes a parked runner look for work, once this synchronous stretch is over. */
  wake(): void {
    if (this.whenWoken === undefined) return;
    queueMicrotask(this.whenWoken);
    this.whenWoken = undefined;
  }

  /** Ends the runner as soon as it holds nothing. */
  dismiss(): void {
    this.dismissed = true;
    this.wake();
  }

  /** Whether to go on, asked between two pieces of work. */
  protected stays(): boolean {
    if (this.dismissed) return false;
    const { home } = this.setting;
    if (home.active <= home.target) return true;
    home.runnerLeaves();
    return false;
  }

  /** Has `goOn` called when there may be work. */
  protected park(goOn: () => void): void {
    const { clock, slices } = this.setting;
    this.parkedSinceMs = clock.now();
    slices.idle(this.parkedSinceMs);
    this.whenWoken = goOn;
    this.setting.home.runnerParked(this);
  }

  /**
   * Notes the time if this attempt is one to be timed. Reading the clock twice for each item would cost more than a small
   * item, so only the first attempt of each slice is timed unless somebody listens.
   */
  protected startTiming(): void {
    const { slices, events, clock } = this.setting;
    this.startedMs = -1;
    if (this.timedSlice === slices.current && !events.timesAttempts) return;
    this.timedSlice = slices.current;
    this.startedMs = clock.now();
  }

  /**
   * How long the attempt took, if it is one to be timed, else -1. To be told of when it is settled: who listens may do
   * anything, and must not have it settled twice.
   */
  protected stopTiming(): number {
    return this.startedMs < 0 ? -1 : this.setting.clock.now() - this.startedMs;
  }

  protected readonly tellProgress = (itemId: string, progress: unknown): void => {
    if (this.retired) return;
    this.setting.events.emit('progress', { type: this.setting.workload.type, itemId, progress });
  };
}

function ignore(): void {}
