import type { Job } from './job.js';
import { Envelope, Run, RUN_LENGTH, SHORTEST_RUN } from './run.js';

/** Where `WorkQueue.take` puts what it takes: a record that its worker uses again and again. */
export interface TakenItem {
  payload: unknown;
  job: Job;
  index: number;
  /** Number of the attempt that begins, 1 for the first. */
  attempt: number;
}

/** Where `WorkQueue.takeBatch` puts what it takes. */
export interface TakenBatch {
  /** For the handler. */
  payloads: unknown[];
  /** The same, where no handler can change them: what is retried must be what was submitted. */
  readonly kept: unknown[];
  readonly jobs: Job[];
  readonly indices: number[];
  readonly attempts: number[];
}

/** Up to this many items of another job travel in envelopes rather than in a run of their own. */
const FEW = 8;

/** Stands in a slot whose item was removed. */
const REMOVED_PAYLOAD = Symbol('removed payload');
const REMOVED_ENVELOPE = Symbol('removed envelope');

/**
 * The items of one worker type that wait, first in first out: a linked list of runs. Push and take cost the same
 * at any length (a ring that doubles would stall at each growth), and a run is garbage once it has been read, so
 * memory shrinks as the queue drains. Bounds are kept by who pushes.
 */
export class WorkQueue {
  /** Items that wait. */
  size = 0;
  private head = new Run(undefined, 0, 0);
  private tail = this.head;

  /** Appends one payload, the item `index` of `job`. The indices of a job's payloads follow one another. */
  push(job: Job, index: number, payload: unknown): void {
    const { tail } = this;
    if (this.size === 0 && tail.job !== job) tail.reopen(job, index);
    if (tail.job === job && !tail.isFull) {
      tail.slots[tail.filled++] = payload;
    } else if (tail.isFull) {
      const run = this.appendRun(job, index, this.nextLength);
      run.slots[run.filled++] = payload;
    } else {
      putEnvelope(tail, new Envelope(payload, job, index, 0));
    }
    this.size++;
  }

  /** Appends `payloads[from .. to)`, of which the first is the item `index` of `job`. */
  pushMany(job: Job, index: number, payloads: readonly unknown[], from: number, to: number): void {
    let position = from;
    if (this.tail.job !== job && to - from <= FEW) {
      for (; position < to; position++) this.push(job, index + position - from, payloads[position]);
      return;
    }
    while (position < to) {
      let run = this.tail;
      if (run.job !== job || run.isFull) {
        run = this.appendRun(job, index + position - from, Math.min(RUN_LENGTH, to - position));
      }
      const end = Math.min(to, position + run.capacity - run.filled);
      this.size += end - position;
      while (position < end) run.slots[run.filled++] = payloads[position++];
    }
  }

  /** Appends an item that comes back. */
  pushEnvelope(envelope: Envelope): void {
    const run = this.tail.isFull ? this.appendRun(undefined, 0, this.nextLength) : this.tail;
    putEnvelope(run, envelope);
    this.size++;
  }

  /** Takes the first item into `item`; false when nothing waits. */
  take(item: TakenItem): boolean {
    if (this.size === 0) return false;
    for (;;) {
      const run = this.readableRun();
      const place = run.taken++;
      const slot = run.slots[place];
      run.slots[place] = undefined;
      if (Envelope.is(slot)) {
        run.envelopesTaken++;
        item.payload = slot.payload;
        item.job = slot.job;
        item.index = slot.index;
        item.attempt = slot.attempts + 1;
      } else if (slot === REMOVED_ENVELOPE) {
        run.envelopesTaken++;
        continue;
      } else if (slot === REMOVED_PAYLOAD) {
        continue;
      } else {
        item.payload = slot;
        item.job = run.job!;
        item.index = run.firstIndex + place - run.envelopesTaken;
        item.attempt = 1;
      }
      this.size--;
      return true;
    }
  }

  /**
   * Takes up to `limit` items into `batch`, whose `payloads` become a new array (a handler may keep it); the other
   * arrays are written over.
   *
   * @returns how many were taken
   */
  takeBatch(batch: TakenBatch, limit: number): number {
    const count = Math.min(limit, this.size);
    const payloads = new Array<unknown>(count);
    for (let place = 0; place < count; place++) {
      this.take(taken);
      payloads[place] = batch.kept[place] = taken.payload;
      batch.jobs[place] = taken.job;
      batch.indices[place] = taken.index;
      batch.attempts[place] = taken.attempt;
    }
    taken.payload = undefined;
    batch.payloads = payloads;
    return count;
  }

  /** Removes every waiting item of `job`; runs that can't have one cost nothing but a look. @returns how many */
  removeJob(job: Job): number {
    const before = this.size;
    for (let run: Run | undefined = this.head; run !== undefined; run = run.next) {
      if (run.job !== job && run.envelopesFilled === run.envelopesTaken) continue;
      for (let place = run.taken; place < run.filled; place++) {
        const slot = run.slots[place];
        if (Envelope.is(slot)) {
          if (slot.job === job) this.removeSlot(run, place, REMOVED_ENVELOPE);
        } else if (run.job === job && slot !== REMOVED_PAYLOAD && slot !== REMOVED_ENVELOPE) {
          this.removeSlot(run, place, REMOVED_PAYLOAD);
        }
      }
    }
    if (this.size < before) this.unlinkEmptyRuns();
    return before - this.size;
  }

  private removeSlot(run: Run, place: number, mark: symbol): void {
    run.slots[place] = mark;
    this.size--;
  }

  /** A run of which nothing is left must not hold its memory until the queue has drained up to it. */
  private unlinkEmptyRuns(): void {
    while (this.head !== this.tail && isEmpty(this.head)) this.head = this.head.next!;
    for (let run = this.head; run !== this.tail;) {
      const next = run.next!;
      if (next !== this.tail && isEmpty(next)) run.next = next.next;
      else run = next;
    }
  }

  private readableRun(): Run {
    while (this.head.isDrained) this.head = this.head.next!;
    return this.head;
  }

  /** Twice the last run's: one that is left half empty then never costs more than what was filled before it. */
  private get nextLength(): number {
    return Math.min(RUN_LENGTH, Math.max(SHORTEST_RUN, 2 * this.tail.capacity));
  }

  private appendRun(job: Job | undefined, firstIndex: number, capacity: number): Run {
    const run = new Run(job, firstIndex, capacity);
    this.tail.next = run;
    this.tail = run;
    return run;
  }
}

function putEnvelope(run: Run, envelope: Envelope): void {
  run.slots[run.filled++] = envelope;
  run.envelopesFilled++;
}

function isEmpty(run: Run): boolean {
  for (let place = run.taken; place < run.filled; place++) {
    const slot = run.slots[place];
    if (slot !== REMOVED_PAYLOAD && slot !== REMOVED_ENVELOPE) return false;
  }
  return true;
}

/** `takeBatch` reads by way of `take`; the record between them is never visible outside. */
const taken: TakenItem = { payload: undefined, job: undefined as never, index: 0, attempt: 0 };
