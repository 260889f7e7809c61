import type { Clock } from '../../core/clock.js';
import type { JobRecords } from './job-records.js';

/** For how long it is believed that a job has not been cancelled by another process, in milliseconds: far less than a lease. */
const BELIEVED_FOR_MS = 100;

/** What is known of a job. */
interface Knowledge {
  readonly isCancelled: boolean;
  readonly sinceMs: number;
}

/** Knows which jobs have been cancelled, by whatever process. The chunks of one job come fast: not each of them asks the store. */
export class CancelledJobs {
  private readonly known = new Map<string, Knowledge>();

  constructor(
    private readonly records: Pick<JobRecords, 'cancelled'>,
    private readonly clock: Pick<Clock, 'now'>,
  ) {}

  /** What is known lately of a job; undefined: the store has to be asked. */
  lately(jobId: string): boolean | undefined {
    const knowledge = this.known.get(jobId);
    if (knowledge === undefined || knowledge.sinceMs + BELIEVED_FOR_MS < this.clock.now()) return undefined;
    return knowledge.isCancelled;
  }

  /** Asks the store. @returns those of the jobs that are cancelled */
  async among(jobIds: readonly string[]): Promise<ReadonlySet<string>> {
    const sinceMs = this.clock.now();
    const cancelled = await this.records.cancelled(jobIds);
    this.forgetOld(sinceMs);
    for (const id of jobIds) {
      // It may have been cancelled here while the store answered.
      if (this.known.get(id)?.isCancelled !== true)
        this.known.set(id, { isCancelled: cancelled.has(id), sinceMs });
    }
    return cancelled;
  }

  /** This process has cancelled the job. */
  cancelledHere(jobId: string): void {
    this.known.set(jobId, { isCancelled: true, sinceMs: this.clock.now() });
  }

  private forgetOld(nowMs: number): void {
    for (const [id, { sinceMs }] of this.known) if (sinceMs + BELIEVED_FOR_MS < nowMs) this.known.delete(id);
  }
}
