import { randomBytes } from 'node:crypto';
import type { EventChannel } from './events.js';
import type { JobHome } from './job-home.js';
import { Job } from './job.js';
import type { SubmitOptions } from './submit-options.js';

/** Makes the jobs of a process, and finds those that are tracked and have not ended. */
export class JobRegistry {
  /** Tells the jobs of one process from those of all others. */
  readonly idPrefix = randomBytes(6).toString('base64url');
  private readonly tracked = new Map<string, Job>();
  private sequence = 0;

  constructor(private readonly events: EventChannel) {}

  make(home: JobHome, options?: SubmitOptions): Job {
    return new Job(home, this.sequence++, options);
  }

  track(job: Job): void {
    job.tracked = true;
    this.tracked.set(job.id, job);
  }

  find(id: string): Job | undefined {
    return this.tracked.get(id);
  }

  jobEnded(job: Job): void {
    if (!job.tracked) return;
    this.tracked.delete(job.id);
    this.events.emit('jobEnded', job);
  }
}
