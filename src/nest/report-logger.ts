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
    const report = this.jobs.reportPerformance(this.last);
    this.last = report;
    for (const performance of report.types) {
      if (isQuiet(performance)) continue;
      this.log.info(reportText(performance), { ...performance, intervalMs: report.intervalMs });
    }
  }
}

function isQuiet({ itemsPerSecond, waiting, running, delayed }: TypePerformance): boolean {
  return itemsPerSecond === 0 && waiting === 0 && running === 0 && delayed === 0;
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
