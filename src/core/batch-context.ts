import { describe } from './describe.js';
import { toError } from './to-error.js';
import { LazyAbort } from './lazy-abort.js';
import type { TakenBatch } from './waiting-items.js';

/** What a batch handler is told of its attempt, and can tell. Items are named by their place in the batch, from 0. */
export interface BatchContext {
  readonly type: string;
  /** Items in the batch. */
  readonly size: number;
  /** Aborts when the attempt passes its time limit, the jobs of all its items are cancelled, or the process shuts down. */
  readonly signal: AbortSignal;
  /** The id of the item at `place`; the same in each attempt. */
  itemId(place: number): string;
  /** Number of this attempt of the item at `place`, 1 for the first. */
  attempt(place: number): number;
  /**
   * Fails the item at `place` alone; the rest of the batch is not touched. A second failure of the same item, and one
   * after the batch has settled, is ignored.
   *
   * @throws RangeError when the batch has no such place
   */
  fail(place: number, error: unknown): void;
  /** Tells the listeners of `progress`. */
  reportProgress(place: number, progress: unknown): void;
}

/** The context of one batch. Not used again: a handler may keep it, and must not reach the next batch through it. */
export class SingleBatchContext implements BatchContext {
  readonly abort = new LazyAbort();
  /** Errors of the items that were failed, by place; made at the first. */
  failures: Map<number, Error> | undefined = undefined;
  private settled = false;

  constructor(
    readonly type: string,
    readonly size: number,
    private readonly batch: TakenBatch,
    private readonly onProgress: (itemId: string, progress: unknown) => void,
  ) {}

  get signal(): AbortSignal {
    return this.abort.signal;
  }

  itemId(place: number): string {
    this.check(place);
    return `${this.batch.jobs[place]!.id}:${this.batch.indices[place]!}`;
  }

  attempt(place: number): number {
    this.check(place);
    return this.batch.attempts[place]!;
  }

  fail(place: number, error: unknown): void {
    if (this.settled) return;
    this.check(place);
    this.failures ??= new Map();
    if (!this.failures.has(place)) this.failures.set(place, toError(error));
  }

  reportProgress(place: number, progress: unknown): void {
    if (!this.settled) this.onProgress(this.itemId(place), progress);
  }

  /** Nothing that the handler says from now on counts. */
  close(): void {
    this.settled = true;
  }

  private check(place: number): void {
    if (this.settled) throw new Error('The batch has settled; its context tells of its items only before');
    if (!Number.isInteger(place) || place < 0 || place >= this.size) {
      throw new RangeError(
        `Expected a place in the batch from 0 to ${this.size - 1}, got ${describe(place)}`,
      );
    }
  }
}
