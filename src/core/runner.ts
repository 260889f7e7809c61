import type { Clock, Timer } from './clock.js';
import { TimeLimitError } from './errors.js';
import { toError } from './to-error.js';
import type { EventChannel } from './events.js';
import { isThenable } from './is-thenable.js';
import type { Job } from './job.js';
import type { TimeSlices } from './time-slices.js';
import type { WorkerFailure } from './worker-failure.js';
import type { Worker } from './worker.js';
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
 */
export abstract class Runner {
  /** Whether a handler holds work that has not been settled. */
  holding = false;
  /** Attempts begun; tells the watch of time limits one attempt from the next. */
  sequence = 0;
  /** Set when the time limit took the work away: what the handler does from then on counts for nothing. */
  retired = false;
  /** Since when it is parked, in milliseconds of the clock. */
  parkedSinceMs = 0;
  /** For the watch of time limits: the attempt it last saw, and for how long. */
  readonly watched = { sequence: -1, forMs: 0 };
  private dismissed = false;
  private timedSlice = -1;
  private whenWoken: (() => void) | undefined = undefined;

  constructor(protected readonly setting: RunnerSetting) {}

  /**
   * The life of the runner. Resolves when it is gone.
   *
   * @returns what went wrong, if its worker could not be made, started or stopped
   */
  async live(create: () => Worker<never> | Promise<Worker<never>>): Promise<WorkerFailure | undefined> {
    let during: WorkerFailure['during'] = 'start';
    try {
      const worker = await this.startInTime(create);
      this.setting.home.runnerReady();
      during = 'work';
      await this.work(worker);
      during = 'stop';
      await this.inTime('Stop of a worker', Promise.resolve(worker.onStop?.()));
      return undefined;
    } catch (error) {
      if (during !== 'stop') this.breakDown(toError(error));
      return { during, error: toError(error) };
    }
  }

  /** Gives up its place, and what it holds. */
  private breakDown(error: Error): void {
    if (!this.dismissed && !this.retired) this.setting.home.runnerLeaves();
    if (this.holding) this.failHeld(error);
  }

  /** A worker that is ready only when nobody waits for it any more gives back what it took. */
  private async startInTime(create: () => Worker<never> | Promise<Worker<never>>): Promise<Worker<never>> {
    const starting = this.start(create);
    try {
      return await this.inTime('Start of a worker', starting);
    } catch (error) {
      if (error instanceof TimeLimitError)
        void starting.then((late) => late.onStop?.()).catch(() => undefined);
      throw error;
    }
  }

  private async start(create: () => Worker<never> | Promise<Worker<never>>): Promise<Worker<never>> {
    const made = create();
    const worker = isThenable(made) ? await made : made;
    this.adopt(worker);
    await worker.onStart?.();
    return worker;
  }

  /** Waits for `work` as long as an attempt may take. @throws TimeLimitError */
  private async inTime<Result>(what: string, work: Promise<Result>): Promise<Result> {
    const { workload, clock } = this.setting;
    const { timeoutMs } = workload.options;
    if (timeoutMs === 0) return work;
    let timer: Timer;
    const timeout = new Promise<never>((_, reject) => {
      timer = clock.setTimer(() => reject(new TimeLimitError(workload.type, timeoutMs, what)), timeoutMs);
    });
    try {
      return await Promise.race([work, timeout]);
    } finally {
      timer!.cancel();
    }
  }

  /** Looks at the worker before its first item. @throws InvalidWorkerError when it can't work */
  protected abstract adopt(worker: Worker<never>): void;

  /** Works until the runner shall end. Rejects only when something else than a handler fails. */
  protected abstract work(worker: Worker<never>): Promise<void>;

  /** Aborts the signal of the held work; of `job` only, when it is given. */
  abstract abort(reason: Error, job?: Job): void;

  /** Settles the held work as failed, in place of the handler. @returns the ids of its items */
  protected abstract failHeld(error: Error): string[];

  /** Takes the held work away from a handler that will not be waited for. @returns the ids of its items */
  retire(error: Error): string[] {
    this.retired = true;
    this.abort(error);
    return this.failHeld(error);
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
    this.parkedSinceMs = this.setting.clock.now();
    this.whenWoken = goOn;
    this.setting.home.runnerParked(this);
  }

  /**
   * The time, if this attempt is one to be timed, else -1. Reading the clock twice for each item would cost more than a
   * small item, so only the first attempt of each slice is timed unless somebody listens.
   */
  protected startTiming(): number {
    const { slices, events, clock } = this.setting;
    if (this.timedSlice === slices.current && !events.timesAttempts) return -1;
    this.timedSlice = slices.current;
    return clock.now();
  }

  protected endTiming(startedMs: number, count: number, outcome: 'completed' | 'failed'): void {
    this.setting.home.attemptTimed(this.setting.clock.now() - startedMs, count, outcome);
  }

  protected readonly tellProgress = (itemId: string, progress: unknown): void => {
    if (this.retired) return;
    this.setting.events.emit('progress', { type: this.setting.workload.type, itemId, progress });
  };
}
