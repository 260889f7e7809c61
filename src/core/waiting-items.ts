import type { Envelope } from './envelope.js';
import { NOBODY, type Job } from './job.js';

/** Where `take` puts what it takes: a record that its worker uses again and again. */
export interface TakenItem {
  payload: unknown;
  job: Job;
  index: number;
  /** Number of the attempt that begins, 1 for the first. */
  attempt: number;
}

/** Where `takeBatch` puts what it takes. */
export interface TakenBatch {
  /** For the handler. */
  payloads: unknown[];
  /** The same, where no handler can change them: what is retried must be what was submitted. */
  readonly kept: unknown[];
  readonly jobs: Job[];
  readonly indices: number[];
  readonly attempts: number[];
}

/** The items of one worker type that wait. Bounds are kept by who pushes. */
export interface WaitingItems {
  /** Items that wait. */
  readonly size: number;
  /** Appends one payload, the item `index` of `job`. The indices of a job's payloads follow one another. */
  push(job: Job, index: number, payload: unknown): void;
  /**
   * Appends `payloads[from .. to)`, of which the first is the item `index` of `job`. No reading of a payload may run code of the
   * user's, who might come back to this queue.
   */
  pushMany(job: Job, index: number, payloads: readonly unknown[], from: number, to: number): void;
  /** Appends an item that comes back. */
  pushEnvelope(envelope: Envelope): void;
  /** Takes the next item into `item`; false when nothing waits. */
  take(item: TakenItem): boolean;
  /**
   * Takes up to `limit` items into `batch`, whose `payloads` become a new array (a handler may keep it); the other
   * arrays are written over.
   *
   * @returns how many were taken
   */
  takeBatch(batch: TakenBatch, limit: number): number;
  /** Drops every waiting item of `job`, which is marked as dropped. @returns how many */
  drop(job: Job): number;
  /** Takes out the items of dropped jobs, whose mark may be removed then. */
  takeOutDropped(): void;
}

/** `WaitingItems.takeBatch`, by way of `take`. */
export function takeBatch(
  items: Pick<WaitingItems, 'size' | 'take'>,
  batch: TakenBatch,
  limit: number,
): number {
  const count = Math.min(limit, items.size);
  const payloads = new Array<unknown>(count);
  for (let place = 0; place < count; place++) {
    items.take(taken);
    payloads[place] = batch.kept[place] = taken.payload;
    batch.jobs[place] = taken.job;
    batch.indices[place] = taken.index;
    batch.attempts[place] = taken.attempt;
  }
  taken.payload = undefined;
  batch.payloads = payloads;
  return count;
}

/** The record between `takeBatch` and `take`; never visible outside. */
const taken: TakenItem = { payload: undefined, job: NOBODY, index: 0, attempt: 0 };
