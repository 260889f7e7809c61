import type { Job } from './job.js';
import type { Envelope } from './envelope.js';

/** Items due within the same stretch share a bucket and come back together, at its end. */
const BUCKET_MS = 10;

/** Dropped items that stay before they are looked for, at the least. */
const MOST_DROPPED = 1_024;

/**
 * Items that wait for a moment: buckets of 10 ms, and a heap of the buckets' times. A timer for each item would
 * cost several times the processor time and ten times the memory. Items of dropped jobs count no more, and are taken
 * out when they outnumber the others, as in the work queue.
 */
export class DelayedItems {
  /** Items that are delayed. */
  size = 0;
  /** Items dropped since the dropped ones were last taken out. */
  private dropped = 0;
  private readonly buckets = new Map<number, Envelope[]>();
  /** Binary heap of the buckets' ends, in units of the bucket; the earliest first. */
  private readonly ends: number[] = [];

  /**
   * The moment at which the next bucket is due, in milliseconds of the clock; undefined when there is none. Of its
   * items, all may have been dropped.
   */
  get nextBucketMs(): number | undefined {
    const end = this.ends[0];
    return end === undefined ? undefined : end * BUCKET_MS;
  }

  /** The moment at which the next item is due, in milliseconds of the clock; undefined when nothing is delayed. */
  get nextDueMs(): number | undefined {
    if (this.dropped > 0) this.takeOutDropped();
    return this.nextBucketMs;
  }

  /** Keeps `envelope` until `dueMs`, never a shorter time, up to 10 ms longer. */
  add(envelope: Envelope, dueMs: number): void {
    const end = Math.ceil(dueMs / BUCKET_MS);
    const bucket = this.buckets.get(end);
    if (bucket === undefined) {
      this.buckets.set(end, [envelope]);
      this.addEnd(end);
    } else {
      bucket.push(envelope);
    }
    envelope.job.delayed++;
    this.size++;
  }

  /** Gives every item that is due at `nowMs` to `receive`, the earliest bucket first. */
  takeDue(nowMs: number, receive: (envelope: Envelope) => void): void {
    while (this.ends.length > 0 && this.ends[0]! * BUCKET_MS <= nowMs) {
      const end = this.removeFirstEnd();
      const bucket = this.buckets.get(end)!;
      this.buckets.delete(end);
      for (const envelope of bucket) if (!envelope.job.isDropped) this.release(envelope, receive);
    }
  }

  /** Gives the items that are wanted to `receive`, whenever they are due; the earliest first. */
  take(isWanted: (envelope: Envelope) => boolean, receive: (envelope: Envelope) => void): void {
    const ends = [...this.buckets.keys()].toSorted((a, b) => a - b);
    for (const end of ends) {
      this.keep(end, (envelope) => {
        if (envelope.job.isDropped) return false;
        if (!isWanted(envelope)) return true;
        this.release(envelope, receive);
        return false;
      });
    }
    this.dropped = 0;
    this.keepEnds();
  }

  /** Drops every item of `job`, which is marked as dropped. @returns how many */
  drop(job: Job): number {
    const count = job.delayed;
    job.delayed = 0;
    this.size -= count;
    this.dropped += count;
    if (this.size === 0 || this.dropped > Math.max(MOST_DROPPED, this.size)) this.takeOutDropped();
    return count;
  }

  /** Takes out the items of dropped jobs, whose mark may be removed then. */
  takeOutDropped(): void {
    this.dropped = 0;
    for (const end of this.buckets.keys()) this.keep(end, (envelope) => !envelope.job.isDropped);
    this.keepEnds();
  }

  private release(envelope: Envelope, receive: (envelope: Envelope) => void): void {
    this.size--;
    envelope.job.delayed--;
    receive(envelope);
  }

  /** Keeps of a bucket what `stays` is true of. */
  private keep(end: number, stays: (envelope: Envelope) => boolean): void {
    const kept = this.buckets.get(end)!.filter(stays);
    if (kept.length > 0) this.buckets.set(end, kept);
    else this.buckets.delete(end);
  }

  /** Forgets the ends of buckets that are gone, so that nobody waits for them. */
  private keepEnds(): void {
    const { ends, buckets } = this;
    if (ends.length === buckets.size) return;
    // What is sorted is a heap.
    const kept = [...buckets.keys()].toSorted((a, b) => a - b);
    ends.length = 0;
    for (const end of kept) ends.push(end);
  }

  private addEnd(end: number): void {
    const { ends } = this;
    let child = ends.length;
    ends.push(end);
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (ends[parent]! <= end) break;
      ends[child] = ends[parent]!;
      child = parent;
    }
    ends[child] = end;
  }

  private removeFirstEnd(): number {
    const { ends } = this;
    const first = ends[0]!;
    const last = ends.pop()!;
    if (ends.length === 0) return first;
    let parent = 0;
    for (;;) {
      let child = 2 * parent + 1;
      if (child >= ends.length) break;
      if (child + 1 < ends.length && ends[child + 1]! < ends[child]!) child++;
      if (ends[child]! >= last) break;
      ends[parent] = ends[child]!;
      parent = child;
    }
    ends[parent] = last;
    return first;
  }
}
