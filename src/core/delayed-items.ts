import type { Envelope } from './run.js';

/** Items due within the same stretch share a bucket and come back together, at its end. */
const BUCKET_MS = 10;

/**
 * Items that wait for a moment: buckets of 10 ms, and a heap of the buckets' times. A timer for each item would
 * cost several times the processor time and ten times the memory.
 */
export class DelayedItems {
  /** Items that are delayed. */
  size = 0;
  private readonly buckets = new Map<number, Envelope[]>();
  /** Binary heap of the buckets' ends, in units of the bucket; the earliest first. */
  private readonly ends: number[] = [];

  /** The moment at which the next bucket is due, in milliseconds of the clock; undefined when nothing is delayed. */
  get nextDueMs(): number | undefined {
    const end = this.ends[0];
    return end === undefined ? undefined : end * BUCKET_MS;
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
    this.size++;
  }

  /** Gives every item that is due at `nowMs` to `receive`, the earliest bucket first. */
  takeDue(nowMs: number, receive: (envelope: Envelope) => void): void {
    while (this.ends.length > 0 && this.ends[0]! * BUCKET_MS <= nowMs) {
      const end = this.removeFirstEnd();
      const bucket = this.buckets.get(end)!;
      this.buckets.delete(end);
      this.size -= bucket.length;
      for (const envelope of bucket) receive(envelope);
    }
  }

  /** Gives all items to `receive`, whenever they are due. */
  takeAll(receive: (envelope: Envelope) => void): void {
    this.takeDue(Infinity, receive);
  }

  /** Removes the items that `belongs` is true of. @returns how many */
  remove(belongs: (envelope: Envelope) => boolean): number {
    const before = this.size;
    for (const [end, bucket] of this.buckets) {
      const kept = bucket.filter((envelope) => !belongs(envelope));
      this.size -= bucket.length - kept.length;
      if (kept.length > 0) this.buckets.set(end, kept);
      else this.buckets.delete(end);
    }
    this.keepEnds();
    return before - this.size;
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
