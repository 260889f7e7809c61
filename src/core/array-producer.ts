import type { Producer } from './admission.js';
import { ProcessClosedError } from './errors.js';
import type { Job } from './job.js';
import type { Workload } from './workload.js';

/** Submits the rest of an array as room is made. */
export class ArrayProducer implements Producer {
  /** Resolves when all is submitted; rejects with `ProcessClosedError` when the process shuts down first. */
  readonly submitted: Promise<void>;
  private resolve!: () => void;
  private reject!: (error: Error) => void;
  private position = 0;

  /** @param payloads what is left to submit; not to be changed by anybody else */
  constructor(
    private readonly workload: Workload,
    private readonly job: Job,
    private readonly payloads: readonly unknown[],
  ) {
    this.submitted = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  proceed(room: number): boolean {
    if (!this.job.isCancelled) {
      const end = Math.min(this.payloads.length, this.position + room);
      this.workload.admitMany(this.job, this.payloads, this.position, end);
      this.position = end;
      if (end < this.payloads.length) return false;
    }
    this.job.seal();
    this.resolve();
    return true;
  }

  refuse(): void {
    const { accepted } = this.job;
    const rest = this.payloads.length - this.position;
    this.job.markInterrupted();
    this.job.seal();
    this.reject(new ProcessClosedError(`distributeWork(): ${accepted} items accepted, ${rest} refused`));
  }
}
