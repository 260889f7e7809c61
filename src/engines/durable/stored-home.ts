import type { JobHome } from '../../core/job-home.js';
import type { ItemKeeper } from '../../core/item-keeper.js';
import { Job } from '../../core/job.js';
import { splitJobId } from './job-id.js';

/** What the jobs of a durable engine ask of it. */
export interface StoredJobs {
  cancel(job: Job): Promise<void>;
  retry(jobs: Iterable<Job>): Promise<number>;
  /** Somebody waits for the end of the job. @throws JobNotTrackedError */
  watch(job: Job): void;
  ended(job: Job): void;
}

/** What the jobs of a worker type have in common whose ids begin alike. */
export class StoredHome implements JobHome {
  constructor(
    readonly type: string,
    readonly idPrefix: string,
    private readonly jobs: StoredJobs,
  ) {}

  cancelJob(job: Job): Promise<void> {
    return this.jobs.cancel(job);
  }

  jobEnded(job: Job): void {
    this.jobs.ended(job);
  }

  retryJobs(jobs: Iterable<Job>): Promise<number> {
    return this.jobs.retry(jobs);
  }

  completionAsked(job: Job): void {
    this.jobs.watch(job);
  }
}

/** Makes what stands in this process for jobs of other processes. */
export class StoredHomes {
  /** Most jobs in a row come from one process. */
  private last: StoredHome;

  constructor(
    private readonly type: string,
    idPrefix: string,
    private readonly jobs: StoredJobs,
  ) {
    this.last = new StoredHome(type, idPrefix, jobs);
  }

  /** @param keeper of its items, when this process has leased some */
  jobOf(id: string, keeper?: ItemKeeper): Job {
    const { idPrefix, sequence } = splitJobId(id);
    return this.make(idPrefix, sequence, keeper);
  }

  /** The same, by the two parts of its id. */
  make(idPrefix: string, sequence: number, keeper?: ItemKeeper): Job {
    if (this.last.idPrefix !== idPrefix) this.last = new StoredHome(this.type, idPrefix, this.jobs);
    return new Job(this.last, sequence, keeper && { keeper });
  }
}
