import { ENVELOPE, TAKEN_OUT, type Envelope } from './envelope.js';
import { NOBODY, type Job } from './job.js';

/** Payloads of a segment at the most. Long enough that its cost vanishes per item, short enough to be given back soon. */
export const SEGMENT_LENGTH = 1_024;

/** Payloads that the first segment of a queue has room for; the next ones have more and more. */
export const SHORTEST_SEGMENT = 16;

/**
 * A segment of the work queue: payloads of one job in a row, read and written like a tape. Their indices follow
 * from their places, so nothing is stored per item but the payload. Envelopes of other items may stand between.
 */
export class Segment {
  readonly slots: unknown[];
  /** Slots written. */
  filled = 0;
  /** Slots read. */
  taken = 0;
  /** Envelopes among the slots that were read; they take a place but no index of the segment's job. */
  envelopesTaken = 0;
  /** The envelopes, in the order of their slots; made with the first. */
  envelopes: Envelope[] | undefined = undefined;
  next: Segment | undefined = undefined;

  constructor(
    public job: Job,
    /** Index of the first payload within its job. */
    public firstIndex: number,
    readonly capacity: number,
  ) {
    // Filled, so that the array is of one kind from the start whatever the payloads are.
    this.slots = new Array<unknown>(capacity).fill(undefined);
  }

  /** Lets another job write a segment that nothing waits in, from its start. */
  reopen(job: Job, firstIndex: number): void {
    this.job = job;
    this.firstIndex = firstIndex;
    this.filled = 0;
    this.taken = 0;
    this.envelopesTaken = 0;
    this.envelopes = undefined;
  }

  get isFull(): boolean {
    return this.filled === this.capacity;
  }

  get isDrained(): boolean {
    return this.taken === this.filled;
  }

  put(envelope: Envelope): void {
    this.envelopes ??= [];
    this.envelopes.push(envelope);
    this.slots[this.filled++] = ENVELOPE;
  }

  /** Takes the envelope whose slot was read. */
  takeEnvelope(): Envelope {
    const envelope = this.envelopes![this.envelopesTaken]!;
    this.envelopes![this.envelopesTaken++] = TAKEN_OUT;
    return envelope;
  }

  /** Empties the slots of dropped items. @returns whether others are left */
  takeOutDropped(): boolean {
    const bare = this.takeOutBare();
    let isLive = bare;
    const { envelopes = [] } = this;
    for (let place = this.envelopesTaken; place < envelopes.length; place++) {
      if (envelopes[place]!.job.isDropped) envelopes[place] = TAKEN_OUT;
      else isLive = true;
    }
    return isLive;
  }

  /** @returns whether bare payloads are left */
  private takeOutBare(): boolean {
    const { slots, taken, filled, job, envelopes, envelopesTaken } = this;
    const bare = filled - taken - ((envelopes?.length ?? 0) - envelopesTaken);
    if (!job.isDropped) return bare > 0;
    for (let place = taken; place < filled; place++) {
      if (slots[place] !== ENVELOPE) slots[place] = undefined;
    }
    this.job = NOBODY;
    return false;
  }
}
