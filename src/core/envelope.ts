import { NOBODY, type Job } from './job.js';

/**
 * An item that can't wait as a bare payload: it belongs to another job than the segment it stands in, or it has been
 * attempted before. Made only for such items; the others cost no object.
 */
export class Envelope {
  constructor(
    readonly payload: unknown,
    readonly job: Job,
    readonly index: number,
    /** Attempts that have failed so far. */
    readonly attempts: number,
  ) {}
}

/** Stands in the slot of an item whose envelope lies beside. No payload is this symbol, so no payload has to be looked at. */
export const ENVELOPE = Symbol('envelope');

/** Stands for an envelope that is gone: it keeps its place, and is passed over. */
export const TAKEN_OUT = new Envelope(undefined, NOBODY, 0, 0);
