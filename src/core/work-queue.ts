import { NOBODY, type Job } from './job.js';
import { ENVELOPE, Envelope, Run, RUN_LENGTH, SHORTEST_RUN } from './run.js';

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

/** Dropped items that stay before they are looked for, at the least. */
const MOST_DROPPED = 1_024;

/**
 * The items of one worker type that wait, first in first out: a linked list of runs. Push and take cost the same
 * at any length (a ring that doubles would stall at each growth), and a run is garbage once it has been read, so
 * memory shrinks as the queue drains. Bounds are kept by who pushes.
 *
 * Dropping a job marks it, whatever the queue's length: its items count no more, and are passed over when their turn
 * comes. Only when they outnumber the others are they taken out, so that they hold no more memory than those.
 */
export class WorkQueue {
  /** Items that wait. */
  size = 0;
  /** Items dropped since the dropped ones were last taken out. */
  private dropped = 0;
  private head = new Run(NOBODY, 0, 0);
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
      tail.put(new Envelope(payload, job, index, 0));
    }
    job.waiting++;
    this.size++;
  }

  /**
   * Appends `payloads[from .. to)`, of which the first is the item `index` of `job`. When reading one throws, those
   * before it have been appended.
   */
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
      position = this.fill(run, payloads, position, to);
    }
  }

  /** @returns the position of the first payload that did not find room in `run` */
  private fill(run: Run, payloads: readonly unknown[], from: number, to: number): number {
    const end = Math.min(to, from + run.capacity - run.filled);
    const { slots, filled } = run;
    let position = from;
    try {
      for (; position < end; position++) slots[filled + position - from] = payloads[position];
    } finally {
      run.filled += position - from;
      run.job.waiting += position - from;
      this.size += position - from;
    }
    return position;
  }

  /** Appends an item that comes back. */
  pushEnvelope(envelope: Envelope): void {
    const run = this.tail.isFull ? this.appendRun(NOBODY, 0, this.nextLength) : this.tail;
    run.put(envelope);
    envelope.job.waiting++;
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
      // Comparing slots of every kind is slow, so it is done only where there is something to find.
      if (run.envelopes !== undefined && slot === ENVELOPE) {
        const envelope = run.takeEnvelope();
        if (envelope.job.isDropped) continue;
        item.payload = envelope.payload;
        item.job = envelope.job;
        item.index = envelope.index;
        item.attempt = envelope.attempts + 1;
      } else {
        if (run.job.isDropped) continue;
        item.payload = slot;
        item.job = run.job;
        item.index = run.firstIndex + place - run.envelopesTaken;
        item.attempt = 1;
      }
      item.job.waiting--;
      this.size--;
      if (this.size === 0 && this.dropped > 0) this.clear();
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

  /** Drops every waiting item of `job`, which is marked as dropped. @returns how many */
  drop(job: Job): number {
    const count = job.waiting;
    job.waiting = 0;
    this.size -= count;
    this.dropped += count;
    if (this.size === 0) this.clear();
    else if (this.dropped > Math.max(MOST_DROPPED, this.size)) this.takeOutDropped();
    return count;
  }

  /** Takes out the items of dropped jobs, whose mark may be removed then. */
  takeOutDropped(): void {
    this.dropped = 0;
    let kept: Run | undefined = undefined;
    for (let run: Run | undefined = this.head; run !== undefined; run = run.next) {
      const isNeeded = run.takeOutDropped() || run === this.tail;
      if (!isNeeded) continue;
      if (kept === undefined) this.head = run;
      else kept.next = run;
      kept = run;
    }
  }

  private readableRun(): Run {
    while (this.head.isDrained) {
      const { next } = this.head;
      // A run that has grown old keeps what it links to alive until the next full collection, and so on down the list.
      this.head.next = undefined;
      this.head = next!;
    }
    return this.head;
  }

  /** Forgets what is left when nothing waits: items that were dropped. */
  private clear(): void {
    this.head = this.tail;
    this.dropped = 0;
    this.tail.slots.fill(undefined, this.tail.taken, this.tail.filled);
    this.tail.reopen(NOBODY, 0);
  }

  /** Twice the last run's: one that is left half empty then never costs more than what was filled before it. */
  private get nextLength(): number {
    return Math.min(RUN_LENGTH, Math.max(SHORTEST_RUN, 2 * this.tail.capacity));
  }

  private appendRun(job: Job, firstIndex: number, capacity: number): Run {
    const run = new Run(job, firstIndex, capacity);
    this.tail.next = run;
    this.tail = run;
    return run;
  }
}

/** `takeBatch` reads by way of `take`; the record between them is never visible outside. */
const taken: TakenItem = { payload: undefined, job: NOBODY, index: 0, attempt: 0 };
