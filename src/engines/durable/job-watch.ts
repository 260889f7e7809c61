import type { Clock, Timer } from '../../core/clock.js';
import type { Job } from '../../core/job.js';
import type { JobRecord, JobRecords } from './job-records.js';

/** How often the records of the jobs are read that somebody waits for, in milliseconds. */
const LOOK_MS = 250;

/** Records that are read at a time. */
const PART = 500;

/** Waits for the ends of jobs, whose items may run in any process. */
export class JobWatch {
  private readonly jobs = new Map<string, Set<Job>>();
  private timer: Timer | undefined = undefined;
  private isLooking = false;
  private isStopped = false;
  private lookAgain = false;

  constructor(
    private readonly records: JobRecords,
    private readonly clock: Clock,
    private readonly troubled: (error: unknown) => void,
  ) {}

  add(job: Job): void {
    if (this.isStopped) return learnFrom(job, undefined);
    const known = this.jobs.get(job.id);
    if (known === undefined) this.jobs.set(job.id, new Set([job]));
    else known.add(job);
    void this.look();
  }

  /** Items of these jobs have just ended in this process. */
  touched(jobIds: readonly string[]): void {
    if (jobIds.some((id) => this.jobs.has(id))) void this.look();
  }

  /** Nothing more will be known of any job. */
  stop(): void {
    this.isStopped = true;
    this.timer?.cancel();
    for (const job of [...this.jobs.values()].flatMap((jobs) => [...jobs])) learnFrom(job, undefined);
    this.jobs.clear();
  }

  private async look(): Promise<void> {
    this.lookAgain = this.isLooking;
    if (this.isLooking) return;
    this.isLooking = true;
    try {
      do {
        this.lookAgain = false;
        await this.readAll();
      } while (this.lookAgain);
    } catch (error) {
      this.troubled(error);
    } finally {
      this.isLooking = false;
    }
    this.timer?.cancel();
    this.timer = this.jobs.size === 0 ? undefined : this.clock.setTimer(() => void this.look(), LOOK_MS);
  }

  private async readAll(): Promise<void> {
    const ids = [...this.jobs.keys()];
    for (let from = 0; from < ids.length; from += PART) {
      const part = ids.slice(from, from + PART);
      const records = await this.records.read(part);
      for (const [place, id] of part.entries()) this.tell(id, records[place]);
    }
  }

  private tell(id: string, record: JobRecord | undefined): void {
    // What has no record any more has ended long ago, or was lost with its store: nobody will say more of it.
    const jobs = [...(this.jobs.get(id) ?? [])];
    for (const job of jobs) learnFrom(job, record);
    if (record === undefined || hasEnded(record) || jobs.every(({ isEnded }) => isEnded))
      this.jobs.delete(id);
  }
}

export function hasEnded({ isSealed, isCancelled, accepted, done, dead }: JobRecord): boolean {
  return isCancelled || (isSealed && done + dead >= accepted);
}

/** Brings what stands for a job in this process up to date. */
export function learnFrom(job: Job, record: JobRecord | undefined): void {
  if (record === undefined) return giveUp(job);
  const { accepted, done, dead, duplicates, isCancelled, sourceEnd } = record;
  if (isCancelled) job.isCancelled = true;
  const cancelled = isCancelled ? Math.max(0, accepted - done - dead) : 0;
  job.learn({ accepted, done, failed: dead, cancelled, duplicates });
  if (sourceEnd !== undefined) job.seal(toSourceEnd(sourceEnd));
  else if (isCancelled) job.seal('interrupted');
}

/** Nobody will say what becomes of its items. */
function giveUp(job: Job): void {
  job.seal('interrupted');
  if (job.open > 0) job.end('handedBack', job.open);
}

function toSourceEnd(end: NonNullable<JobRecord['sourceEnd']>): 'reached' | 'interrupted' | Error {
  switch (end.kind) {
    case 'reached':
    case 'interrupted':
      return end.kind;
    case 'failed':
      return new Error(end.message);
    default:
      return end satisfies never;
  }
}
