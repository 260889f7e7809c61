import type { Job } from './job.js';

/** Payloads of a run at the most. Long enough that its cost vanishes per item, short enough to be given back soon. */
export const RUN_LENGTH = 1_024;

/** Payloads that the first run of a queue has room for; the next ones have more and more. */
export const SHORTEST_RUN = 16;

/**
 * An item that can't wait as a bare payload: it belongs to another job than the run it stands in, or it has been
 * attempted before. Made only for such items; the others cost no object.
 */
export class Envelope {
  /** Attempts that have failed so far. */
  readonly #attempts: number;

  constructor(
    readonly payload: unknown,
    readonly job: Job,
    readonly index: number,
    attempts: number,
  ) {
    this.#attempts = attempts;
  }

  get attempts(): number {
    return this.#attempts;
  }

  /** Not `instanceof`, which runs code of a payload that is a proxy. */
  static is(slot: unknown): slot is Envelope {
    return typeof slot === 'object' && slot !== null && #attempts in slot;
  }
}

/**
 * A segment of the work queue: payloads of one job in a row, read and written like a tape. Their indices follow
 * from their places, so nothing is stored per item but the payload. Envelopes of other items may stand between.
 */
export class Run {
  readonly slots: unknown[];
  /** Slots written. */
  filled = 0;
  /** Slots read. */
  taken = 0;
  /** Envelopes among the slots that were written; they take a place but no index of the run's job. */
  envelopesFilled = 0;
  /** Envelopes among the slots that were read. */
  envelopesTaken = 0;
  next: Run | undefined = undefined;

  constructor(
    public job: Job | undefined,
    /** Index of the first payload within its job. */
    public firstIndex: number,
    readonly capacity: number,
  ) {
    // Filled, so that the array is of one kind from the start whatever the payloads are.
    this.slots = new Array<unknown>(capacity).fill(undefined);
  }

  /** Lets another job write a run that nothing waits in, from its start. */
  reopen(job: Job, firstIndex: number): void {
    this.job = job;
    this.firstIndex = firstIndex;
    this.filled = 0;
    this.taken = 0;
    this.envelopesFilled = 0;
    this.envelopesTaken = 0;
  }

  get isFull(): boolean {
    return this.filled === this.capacity;
  }

  get isDrained(): boolean {
    return this.taken === this.filled;
  }
}
