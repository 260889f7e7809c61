import type { PerformanceReport, TypePerformance } from '../core/performance-report.js';
import type { JobProcess } from '../job-process.js';
import { counted } from './counted.js';
import type { WorkerLog } from './worker-log.js';

/** Writes performance reports to the log, each of what was done since the one before. */
export class ReportLogger {
  private last: PerformanceReport | undefined = undefined;

  constructor(
    private readonly jobs: Pick<JobProcess, 'reportPerformance'>,
    private readonly log: WorkerLog,
  ) {}

  /** Writes a line for each type that did something since the last report, or has something to do. */
  write(): void {
    const { last } = this;
    const report = this.jobs.reportPerformance(last);
    this.last = report;
    for (const performance of report.types) {
      const before = last?.types.find(({ type }) => type === performance.type);
      if (isQuiet(performance, before)) continue;
      this.log.info(reportText(performance), { ...performance, intervalMs: report.intervalMs });
    }
  }
}

/** What is counted of a type, all of which stays the same while it does nothing. */
const COUNTS = ['submitted', 'completed', 'dead', 'cancelled', 'handedBack', 'failedAttempts'] as const;

function isQuiet(now: TypePerformance, before: TypePerformance | undefined): boolean {
  const isIdle = now.waiting === 0 && now.running === 0 && now.delayed === 0;
  return isIdle && COUNTS.every((name) => now[name] === (before?.[name] ?? 0));
}

function reportText(performance: TypePerformance): string {
  const { type, itemsPerSecond, workers, completed, waiting, delayed, deadLetters, meanAttemptMs } =
    performance;
  const mean = meanAttemptMs === undefined ? '' : `, ${meanAttemptMs.toFixed(2)} ms an attempt`;
  return (
    `${type}: ${itemsPerSecond.toFixed(1)} items/s by ${counted(workers, 'worker')}${mean}; ` +
    `${completed} completed, ${waiting} waiting, ${delayed} delayed, ${counted(deadLetters, 'dead letter')}`
  );
}
