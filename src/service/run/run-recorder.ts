import type { JobProcess } from '../../index.js';
import { topReasons, type RunSummary, type WorkerSample } from '../display/run-summary.js';
import { InvalidInputError } from '../invalid-input.js';

const SAMPLE_INTERVAL_MS = 20;

/** Watches a run from its start to its end, and sums it up. */
export class RunRecorder {
  private readonly started = new Date();
  private readonly startedAtMs = performance.now();
  private readonly reasons = new Map<string, Map<string, number>>();
  private readonly samples = new Map<string, WorkerSample[]>();
  private readonly finishedAtMs = new Map<string, number>();
  private readonly sampler: NodeJS.Timeout;
  private readonly stops: readonly (() => void)[];

  constructor(private readonly jobs: JobProcess) {
    for (const type of jobs.types) {
      this.reasons.set(type, new Map());
      this.samples.set(type, []);
    }
    this.stops = [
      jobs.on('deadLetter', ({ type, error }) => this.countReason(type, error)),
      jobs.on('retry', ({ type, error }) => this.countReason(type, error)),
      jobs.on('scaled', () => this.sample()),
    ];
    this.sampler = setInterval(() => this.sample(), SAMPLE_INTERVAL_MS);
    this.sample();
  }

  /** The work of this type is done; its rate is over the time until now. */
  typeFinished(type: string): void {
    this.finishedAtMs.set(type, performance.now());
  }

  /** Stops watching. */
  stop(): void {
    clearInterval(this.sampler);
    for (const stop of this.stops) stop();
  }

  summary(stored: Pick<RunSummary, 'stored' | 'storedBefore'>): RunSummary {
    this.sample();
    return {
      started: this.started.toISOString(),
      durationMs: performance.now() - this.startedAtMs,
      sections: this.jobs.types.map((type) => this.section(type)),
      workersOverTime: [...this.samples].map(([workerType, samples]) => ({ workerType, samples })),
      ...stored,
    };
  }

  private section(type: string): RunSummary['sections'][number] {
    const { submitted, completed, failedAttempts, dead } = this.jobs.counts(type);
    const durationMs = (this.finishedAtMs.get(type) ?? performance.now()) - this.startedAtMs;
    return {
      workerType: type,
      items: submitted,
      completed,
      failed: failedAttempts,
      deadLetters: dead,
      itemsPerSecond: ((completed + dead) / durationMs) * 1_000,
      reasons: topReasons(this.reasons.get(type)!),
    };
  }

  private countReason(type: string, error: Error): void {
    const reason = error instanceof InvalidInputError ? error.reason : error.message;
    const counts = this.reasons.get(type)!;
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }

  private sample(): void {
    const atMs = performance.now() - this.startedAtMs;
    for (const [type, samples] of this.samples) {
      samples.push({ atMs, workers: this.jobs.pool.workerCount(type) });
    }
  }
}
