import { randomBytes } from 'node:crypto';
import type { EventChannel } from './events.js';
import type { JobHome } from './job-home.js';
import { Job, type JobOptions } from './job.js';
import { SignalCancels } from './signal-cancels.js';
import { toError } from './to-error.js';
import type { WorkerPool } from './worker-pool.js';
import type { Workloads } from './workloads.js';

/** Makes the jobs of a process, finds those that are tracked and have not ended, and cancels them. */
export class JobRegistry {
  /** Tells the jobs of one process from those of all others. */
  readonly idPrefix = randomBytes(6).toString('base64url');
  private readonly tracked = new Map<string, Job>();
  private readonly signalCancels = new SignalCancels((error) =>
    this.events.emit('engineTroubled', { error: toError(error) }),
  );
  private sequence = 0;

  constructor(
    private readonly events: EventChannel,
    private readonly workloads: Workloads,
    private readonly pool: WorkerPool,
  ) {}

  /** What the jobs of a worker type have in common. */
  makeHome(type: string): JobHome {
    return {
      type,
      idPrefix: this.idPrefix,
      cancelJob: (job) => this.cancel(job),
      jobEnded: (job) => {
        // Those of items that were never let in.
        job.uniqueKeys?.releaseAll();
        this.jobEnded(job);
      },
      retryJobs: async (jobs) => this.workloads.retryJobs(jobs),
    };
  }

  make(home: JobHome, options?: JobOptions): Job {
    return new Job(home, this.sequence++, options);
  }

  track(job: Job): void {
    job.tracked = true;
    this.tracked.set(job.id, job);
  }

  find(id: string): Job | undefined {
    return this.tracked.get(id);
  }

  /** Cancels the job when the signal aborts. */
  cancelBy(signal: AbortSignal, job: Job): void {
    this.signalCancels.watch(signal, job);
  }

  private cancel(job: Job): void {
    job.producer?.stop();
    job.seal();
    this.workloads.get(job.type).dropJob(job);
    this.pool.abortJob(job);
  }

  private jobEnded(job: Job): void {
    if (!job.tracked) return;
    this.tracked.delete(job.id);
    this.events.emit('jobEnded', job);
  }
}
