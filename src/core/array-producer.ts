import type { Producer } from './admission.js';
import { ProcessClosedError } from './errors.js';
import type { Job, JobProducer, SourceEnd } from './job.js';
import { promiseWithResolve } from './promise-with-resolve.js';
import type { Workload } from './workload.js';

/** Submits the rest of an array as room is made. */
export class ArrayProducer implements Producer, JobProducer {
  /** Resolves when all is submitted or the job is cancelled; with an error when the process shuts down first. */
  readonly ended: Promise<ProcessClosedError | undefined>;
  private readonly end: (refusal: ProcessClosedError | undefined) => void;

  /**
   * @param payloads not to be changed by anybody else
   * @param position the first of them that is left to submit
   * @param sourceEnd how the source has ended behind the last of them
   */
  constructor(
    private readonly workload: Workload,
    private readonly job: Job,
    private readonly payloads: readonly unknown[],
    private position: number,
    private readonly sourceEnd: SourceEnd,
  ) {
    const { promise, resolve } = promiseWithResolve<ProcessClosedError | undefined>();
    this.ended = promise;
    this.end = resolve;
    job.producer = this;
    workload.admission.join(this);
  }

  proceed(room: number): boolean {
    const to = Math.min(this.payloads.length, this.position + room);
    this.workload.admitMany(this.job, this.payloads, this.position, to);
    this.position = to;
    if (to < this.payloads.length) return false;
    this.job.seal(this.sourceEnd);
    this.end(undefined);
    return true;
  }

  stop(): void {
    this.workload.admission.leave(this);
    this.job.seal();
    this.end(undefined);
  }

  refuse(): void {
    const { accepted } = this.job;
    const rest = this.payloads.length - this.position;
    this.job.seal('interrupted');
    this.end(new ProcessClosedError(`distributeWork(): ${accepted} items accepted, ${rest} refused`));
  }
}
