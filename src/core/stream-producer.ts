import type { Producer } from './admission.js';
import { closeIterator } from './close-iterator.js';
import { toError } from './to-error.js';
import { keyOf, type KeyOption } from './item-keys.js';
import { holdKey } from './without-duplicates.js';
import { isThenable } from './is-thenable.js';
import type { Job, JobProducer } from './job.js';
import { promiseWithResolve } from './promise-with-resolve.js';
import type { TimeSlices } from './time-slices.js';
import type { Workload } from './workload.js';

/**
 * Reads a job's source, an item at a time, and never further than there is room: an item is asked for when the one
 * before is in the queue.
 */
export class StreamProducer implements Producer, JobProducer {
  /** Resolves when the source is read no more, and none of its items may come. Never rejects. */
  readonly ended: Promise<void>;
  private readonly end: () => void;
  private pending: unknown = undefined;
  private letIn: (() => void) | undefined = undefined;
  private stopped = false;

  constructor(
    private readonly workload: Workload,
    readonly job: Job,
    private readonly iterator: Iterator<unknown> | AsyncIterator<unknown>,
    private readonly slices: TimeSlices,
  ) {
    const { promise, resolve } = promiseWithResolve<void>();
    this.ended = promise;
    this.end = resolve;
    job.producer = this;
    void this.read();
  }

  /**
   * Stops reading and tells the source so. An item that was read before is still taken in, as it may not be had from
   * its source again; unless its job is cancelled.
   */
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    if (this.letIn !== undefined) {
      this.workload.admission.leave(this);
      this.proceed();
    }
    // What is read yet of a cancelled job is dropped, so nobody has to wait for a source that does not answer.
    if (this.job.isCancelled) this.end();
    void closeIterator(this.iterator);
  }

  /** Waits no longer for a source that was stopped and does not answer. */
  giveUp(): void {
    this.job.seal('interrupted');
    this.end();
  }

  proceed(): boolean {
    const { pending } = this;
    const letIn = this.letIn!;
    this.pending = undefined;
    this.letIn = undefined;
    if (!this.job.isCancelled) this.workload.admit(this.job, pending);
    letIn();
    return true;
  }

  refuse(): void {
    this.stop();
  }

  private async read(): Promise<void> {
    try {
      this.job.seal((await this.readItems()) ? 'reached' : 'interrupted');
    } catch (error) {
      // It need not be the source that failed.
      void closeIterator(this.iterator);
      this.job.seal(toError(error));
    }
    this.end();
  }

  /** @returns whether the source was read to its end */
  private async readItems(): Promise<boolean> {
    while (!this.stopped) {
      let next = this.iterator.next();
      if (isThenable(next)) next = await next;
      // A source that is told to end says so as well.
      if (next.done) return !this.stopped;
      if (this.job.isCancelled) return false;
      if (this.isWanted(next.value)) {
        if (this.stopped) this.workload.admit(this.job, next.value);
        else if (!this.workload.submit(this.job, next.value)) await this.waitForRoom(next.value);
      }
      if (this.slices.spend(1)) await this.slices.pause();
    }
    return false;
  }

  /**
   * Whether the item is to be taken in; its keys are kept then.
   *
   * @throws InvalidOptionsError when a key is none; what makes them throws
   */
  private isWanted(payload: unknown): boolean {
    const { job } = this;
    if (job.options === undefined) return true;
    const uniqueKey = this.makeKey('uniqueKey', payload);
    const orderKey = this.makeKey('orderKey', payload);
    // The functions that make the keys are the user's, and may have cancelled the job.
    if (job.isCancelled) return false;
    if (uniqueKey !== undefined && !holdKey(job, job.accepted, uniqueKey)) return false;
    if (orderKey !== undefined) job.orderKeys!.add(job.accepted, orderKey);
    return true;
  }

  private makeKey(option: KeyOption, payload: unknown): string | undefined {
    const { accepted, duplicates, options } = this.job;
    const key = options![option];
    return key === undefined ? undefined : keyOf(option, key, payload, accepted + duplicates);
  }

  private async waitForRoom(payload: unknown): Promise<void> {
    this.pending = payload;
    const room = new Promise<void>((resolve) => (this.letIn = resolve));
    this.workload.admission.join(this);
    await room;
  }
}
