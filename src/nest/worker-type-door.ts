import type { WorkCounts } from '../core/counts.js';
import type { DeadLetter } from '../core/dead-letters.js';
import type { QueueDepth } from '../core/engine.js';
import type { Job } from '../core/job.js';
import type { Source } from '../core/sources.js';
import type { SubmitOptions } from '../core/submit-options.js';
import { INSPECT, inspection, type Inspect } from '../core/inspection.js';
import type { JobProcess } from '../job-process.js';

/** The part of `JobProcess` that concerns one worker type, with typed payloads. Injected by `@InjectWorkerType(type)`. */
export class WorkerTypeDoor<Payload = unknown> {
  /** @internal */
  constructor(
    readonly type: string,
    private readonly jobs: JobProcess,
  ) {}

  /** What it stands for: the job process behind it is no part of what is printed or sent. */
  toJSON(): { type: string } {
    return { type: this.type };
  }

  [INSPECT](_depth: number, options: unknown, inspect: Inspect): string {
    return inspection(this, options, inspect);
  }

  /** @see WorkerProcess.distributeWork */
  distributeWork(source: Source<Payload>, options?: SubmitOptions): Promise<Job> {
    return this.jobs.distributeWork(this.type, source, options);
  }

  /** @see WorkerProcess.offer */
  offer(payload: Payload): boolean {
    return this.jobs.offer(this.type, payload);
  }

  /** @see WorkerProcess.counts */
  counts(): WorkCounts {
    return this.jobs.counts(this.type);
  }

  /** @see WorkerProcess.depth */
  depth(): Promise<QueueDepth> {
    return this.jobs.depth(this.type);
  }

  /** @see WorkerProcess.waitForCompletion */
  waitForCompletion(): Promise<void> {
    return this.jobs.waitForCompletion(this.type);
  }

  /** @see WorkerProcess.retryFailedItems */
  retryFailedItems(): Promise<number> {
    return this.jobs.retryFailedItems(this.type);
  }

  /** @see WorkerProcess.deadLetters */
  deadLetters(
    query: { readonly limit?: number; readonly after?: number } = {},
  ): Promise<DeadLetter<Payload>[]> {
    return this.jobs.deadLetters({ ...query, type: this.type }) as Promise<DeadLetter<Payload>[]>;
  }

  /** @see WorkerProcess.redriveDeadLetters */
  redriveDeadLetters(ids?: readonly string[]): Promise<number> {
    return this.jobs.redriveDeadLetters({ type: this.type, ids });
  }

  /** @see WorkerProcess.discardDeadLetters */
  discardDeadLetters(ids?: readonly string[]): Promise<number> {
    return this.jobs.discardDeadLetters({ type: this.type, ids });
  }

  /** @see WorkerProcess.pause */
  pause(): Promise<void> {
    return this.jobs.pause(this.type);
  }

  /** @see WorkerProcess.resume */
  resume(): Promise<void> {
    return this.jobs.resume(this.type);
  }
}
