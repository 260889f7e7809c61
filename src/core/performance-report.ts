import type { WorkCounts } from './counts.js';

/** How a worker type does. */
export interface TypePerformance extends WorkCounts {
  readonly type: string;
  /** Workers that live, those that start or stop included. */
  readonly workers: number;
  /** Workers that hold an item or a batch. */
  readonly busyWorkers: number;
  /** Workers that there shall be. */
  readonly targetWorkers: number;
  /** Dead letters that are kept; `dead` counts the discarded ones as well. */
  readonly deadLetters: number;
  /** Items completed a second in the interval. */
  readonly itemsPerSecond: number;
  /** Mean duration in milliseconds of the attempts that were timed in the interval; undefined when none was. */
  readonly meanAttemptMs: number | undefined;
  /** Attempts that were timed since the start: the first of each slice of some milliseconds, or all while `attempt` is listened to. */
  readonly timedAttempts: number;
  /** How long these took together, in milliseconds. */
  readonly timedAttemptsMs: number;
  /** Handlers, starts and stops of workers that still run although nobody waits for them: past their time limit, or left by a shutdown. */
  readonly abandoned: number;
}

/** What `reportPerformance` says. */
export interface PerformanceReport {
  /** When it was made, in milliseconds of the process's clock. */
  readonly atMs: number;
  /** Milliseconds that rates and means cover. */
  readonly intervalMs: number;
  /** Items that ended since the start, completed or dead. */
  readonly totalItemsProcessed: number;
  /** Workers that live, those that start or stop included. */
  readonly workers: number;
  readonly types: readonly TypePerformance[];
}

/** Durations of the attempts that were timed. */
export class AttemptDurations {
  private totalMs = 0;
  private timed = 0;

  add(durationMs: number): void {
    this.totalMs += durationMs;
    this.timed++;
  }

  totals(): Pick<TypePerformance, 'timedAttempts' | 'timedAttemptsMs'> {
    return { timedAttempts: this.timed, timedAttemptsMs: this.totalMs };
  }

  /** The mean since a former report, or since the start; undefined when no attempt was timed. */
  meanSince(former: TypePerformance | undefined): number | undefined {
    const timed = this.timed - (former?.timedAttempts ?? 0);
    return timed === 0 ? undefined : (this.totalMs - (former?.timedAttemptsMs ?? 0)) / timed;
  }
}
