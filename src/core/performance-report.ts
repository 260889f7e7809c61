import type { WorkCounts } from './counts.js';

/** How a worker type does. */
export interface TypePerformance extends WorkCounts {
  readonly type: string;
  /** Workers there are. */
  readonly workers: number;
  /** Workers that hold an item or a batch. */
  readonly busyWorkers: number;
  /** Workers that there shall be. */
  readonly targetWorkers: number;
  /** Dead letters that are kept; `dead` counts the discarded ones as well. */
  readonly deadLetters: number;
  /** Items completed a second since the last report, or since the start. */
  readonly itemsPerSecond: number;
  /** Mean duration of the attempts that were timed since the last report; undefined when none was. */
  readonly meanAttemptMs: number | undefined;
  /** Handlers that still run after their time limit. */
  readonly abandoned: number;
}

/** What `reportPerformance` says. */
export interface PerformanceReport {
  /** Milliseconds that the rates cover. */
  readonly intervalMs: number;
  /** Items that ended since the start, completed or dead. */
  readonly totalItemsProcessed: number;
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

  /** The mean since the last call; undefined when no attempt was timed. */
  takeMean(): number | undefined {
    const mean = this.timed === 0 ? undefined : this.totalMs / this.timed;
    this.totalMs = 0;
    this.timed = 0;
    return mean;
  }
}
