import { LazyAbort } from './lazy-abort.js';
import type { TakenItem } from './waiting-items.js';

/** What a handler is told of its attempt, and can tell. Valid until the handler settles; its worker uses it again. */
export interface ItemContext {
  /** The item's id; the same in each attempt, so that a handler can be idempotent by it. */
  readonly id: string;
  readonly type: string;
  readonly jobId: string;
  /** Place of the item in its job, from 0. */
  readonly index: number;
  /** Number of this attempt, 1 for the first. */
  readonly attempt: number;
  /** Aborts when the attempt passes its time limit, its job is cancelled, or the process shuts down. */
  readonly signal: AbortSignal;
  /** Tells the listeners of `progress`, in whatever form they agreed on with the handler. */
  reportProgress(progress: unknown): void;
}

/** The context of one worker, which shows the item that the worker holds. */
export class ReusedItemContext implements ItemContext {
  readonly abort = new LazyAbort();
  /** Whether the abort was touched, so that it must be reset before the next item. */
  used = false;

  constructor(
    readonly type: string,
    private readonly item: TakenItem,
    private readonly onProgress: (itemId: string, progress: unknown) => void,
  ) {}

  get id(): string {
    return `${this.item.job.id}:${this.item.index}`;
  }

  get jobId(): string {
    return this.item.job.id;
  }

  get index(): number {
    return this.item.index;
  }

  get attempt(): number {
    return this.item.attempt;
  }

  get signal(): AbortSignal {
    this.used = true;
    return this.abort.signal;
  }

  reportProgress(progress: unknown): void {
    this.onProgress(this.id, progress);
  }

  reset(): void {
    this.abort.reset();
    this.used = false;
  }
}
