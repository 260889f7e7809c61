import { NOBODY, type Job } from './job.js';
import { Segment, SEGMENT_LENGTH, SHORTEST_SEGMENT } from './segment.js';
import { ENVELOPE, Envelope } from './envelope.js';
import { takeBatch, type TakenBatch, type TakenItem, type WaitingItems } from './waiting-items.js';

/** Up to this many items of another job travel in envelopes rather than in a segment of their own. */
const FEW = 8;

/** Dropped items that stay before they are looked for, at the least. */
const MOST_DROPPED = 1_024;

/**
 * The items of one worker type that wait, first in first out: a linked list of segments. Push and take cost the same
 * at any length (a ring that doubles would stall at each growth), and a segment is garbage once it has been read, so
 * memory shrinks as the queue drains. Bounds are kept by who pushes.
 *
 * Dropping a job marks it, whatever the queue's length: its items count no more, and are passed over when their turn
 * comes. Only when they outnumber the others are they taken out, so that they hold no more memory than those.
 */
export class WorkQueue implements WaitingItems {
  size = 0;
  /** Items dropped since the dropped ones were last taken out. */
  private dropped = 0;
  private head = new Segment(NOBODY, 0, 0);
  private tail = this.head;

  push(job: Job, index: number, payload: unknown): void {
    const { tail } = this;
    if (this.size === 0 && tail.job !== job) tail.reopen(job, index);
    if (tail.job === job && !tail.isFull) {
      tail.slots[tail.filled++] = payload;
    } else if (tail.isFull) {
      const segment = this.appendSegment(job, index, this.nextLength);
      segment.slots[segment.filled++] = payload;
    } else {
      tail.put(new Envelope(payload, job, index, 0));
    }
    job.waiting++;
    this.size++;
  }

  pushMany(job: Job, index: number, payloads: readonly unknown[], from: number, to: number): void {
    let position = from;
    if (this.tail.job !== job && to - from <= FEW) {
      for (; position < to; position++) this.push(job, index + position - from, payloads[position]);
      return;
    }
    while (position < to) {
      let segment = this.tail;
      if (segment.job !== job || segment.isFull) {
        segment = this.appendSegment(job, index + position - from, Math.min(SEGMENT_LENGTH, to - position));
      }
      position = this.fill(segment, payloads, position, to);
    }
  }

  /** @returns the position of the first payload that did not find room in `segment` */
  private fill(segment: Segment, payloads: readonly unknown[], from: number, to: number): number {
    const end = Math.min(to, from + segment.capacity - segment.filled);
    const { slots, filled } = segment;
    for (let position = from; position < end; position++)
      slots[filled + position - from] = payloads[position];
    const count = end - from;
    segment.filled += count;
    segment.job.waiting += count;
    this.size += count;
    return end;
  }

  pushEnvelope(envelope: Envelope): void {
    const segment = this.tail.isFull ? this.appendSegment(NOBODY, 0, this.nextLength) : this.tail;
    segment.put(envelope);
    envelope.job.waiting++;
    this.size++;
  }

  take(item: TakenItem): boolean {
    if (this.size === 0) return false;
    for (;;) {
      const segment = this.readableSegment();
      const place = segment.taken++;
      const slot = segment.slots[place];
      segment.slots[place] = undefined;
      // Comparing slots of every kind is slow, so it is done only where there is something to find.
      if (segment.envelopes !== undefined && slot === ENVELOPE) {
        const envelope = segment.takeEnvelope();
        if (envelope.job.isDropped) continue;
        item.payload = envelope.payload;
        item.job = envelope.job;
        item.index = envelope.index;
        item.attempt = envelope.attempts + 1;
      } else {
        if (segment.job.isDropped) continue;
        item.payload = slot;
        item.job = segment.job;
        item.index = segment.firstIndex + place - segment.envelopesTaken;
        item.attempt = 1;
      }
      item.job.waiting--;
      this.size--;
      if (this.size === 0 && this.dropped > 0) this.clear();
      return true;
    }
  }

  takeBatch(batch: TakenBatch, limit: number): number {
    return takeBatch(this, batch, limit);
  }

  drop(job: Job): number {
    const count = job.waiting;
    job.waiting = 0;
    this.size -= count;
    this.dropped += count;
    if (this.size === 0) this.clear();
    else if (this.dropped > Math.max(MOST_DROPPED, this.size)) this.takeOutDropped();
    return count;
  }

  takeOutDropped(): void {
    this.dropped = 0;
    let kept: Segment | undefined = undefined;
    for (let segment: Segment | undefined = this.head; segment !== undefined; segment = segment.next) {
      const isNeeded = segment.takeOutDropped() || segment === this.tail;
      if (!isNeeded) continue;
      if (kept === undefined) this.head = segment;
      else kept.next = segment;
      kept = segment;
    }
  }

  private readableSegment(): Segment {
    while (this.head.isDrained) {
      const { next } = this.head;
      // A segment that has grown old keeps what it links to alive until the next full collection, and so on down the list.
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

  /** Twice the last segment's: one that is left half empty then never costs more than what was filled before it. */
  private get nextLength(): number {
    return Math.min(SEGMENT_LENGTH, Math.max(SHORTEST_SEGMENT, 2 * this.tail.capacity));
  }

  private appendSegment(job: Job, firstIndex: number, capacity: number): Segment {
    const segment = new Segment(job, firstIndex, capacity);
    this.tail.next = segment;
    this.tail = segment;
    return segment;
  }
}
