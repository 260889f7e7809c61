import type { Job } from './job.js';

/** Cancels jobs when their signals abort. */
export class SignalCancels {
  /** One listener serves all jobs of a signal: at more than ten, Node warns of a leak. */
  private readonly jobsBySignal = new Map<AbortSignal, Set<Job>>();

  /** @param refused told when a job could not be cancelled, or not yet: nobody waits for it who could be */
  constructor(private readonly refused: (error: unknown) => void) {}

  /** Cancels `job` when `signal` aborts, as long as the job has not ended. */
  watch(signal: AbortSignal, job: Job): void {
    if (signal.aborted) this.cancel(job);
    else this.add(signal, job);
  }

  private add(signal: AbortSignal, job: Job): void {
    const jobs = this.jobsBySignal.get(signal) ?? this.listen(signal);
    jobs.add(job);
    void job.completed.then(() => this.forget(signal, jobs, job));
  }

  private listen(signal: AbortSignal): Set<Job> {
    const jobs = new Set<Job>();
    this.jobsBySignal.set(signal, jobs);
    signal.addEventListener('abort', this.cancelAll);
    return jobs;
  }

  private forget(signal: AbortSignal, jobs: Set<Job>, job: Job): void {
    jobs.delete(job);
    if (jobs.size > 0) return;
    this.jobsBySignal.delete(signal);
    signal.removeEventListener('abort', this.cancelAll);
  }

  private readonly cancelAll = (event: Event): void => {
    const signal = event.target as AbortSignal;
    const jobs = this.jobsBySignal.get(signal) ?? [];
    for (const job of jobs) this.cancel(job);
  };

  private cancel(job: Job): void {
    job.cancel().catch(this.refused);
  }
}
