import type { ItemKeeper } from '../../core/item-keeper.js';
import type { Job } from '../../core/job.js';
import type { DeadReason } from '../../core/outcome.js';
import type { TakenItem } from '../../core/waiting-items.js';
import type { RunKind } from './chunk-format.js';
import type { LeasedChunk } from './leased-chunk.js';

/** Items of one job in a leased chunk. Its items are worked on as those of `job`, which has the stored job's id. */
export class LeasedRun implements ItemKeeper {
  /** Made with this as its keeper. */
  job!: Job;
  /** Whether the workers of this process have been given its items. */
  isAdmitted = false;
  private isDropped = false;

  constructor(
    private readonly chunk: LeasedChunk,
    readonly kind: RunKind,
    /** Index of its first item in the job. */
    readonly index: number,
    readonly count: number,
    /** Place of its first item in the chunk. */
    private readonly place: number,
  ) {}

  /** Whether a record is kept of the job. */
  get isTracked(): boolean {
    return this.kind !== 'loose';
  }

  /** Whether its items are dropped when the job is cancelled. */
  get heedsCancel(): boolean {
    return this.kind === 'job';
  }

  /** Place of the item in the chunk. */
  placeOf(index: number): number {
    return this.place + index - this.index;
  }

  /** Its items are dropped before any worker was given one. Called again, it does nothing. */
  dropUnadmitted(): void {
    if (this.isDropped) return;
    this.isDropped = true;
    for (const [from, to] of this.chunk.openRanges(this.place, this.place + this.count)) {
      this.chunk.cancelled(to - from);
    }
  }

  completed(index: number, count: number): void {
    this.chunk.completed(this.placeOf(index), count);
  }

  retry({ index, attempt }: TakenItem, delayMs: number): void {
    this.chunk.leave(this.placeOf(index), attempt, delayMs);
  }

  died({ job, index, payload, attempt }: TakenItem, reason: DeadReason, error: Error): void {
    const { isTracked } = this;
    this.chunk.died(this.placeOf(index), {
      job,
      index,
      payload,
      attempts: attempt,
      reason,
      error,
      isTracked,
    });
  }

  cancelled(count: number): void {
    this.chunk.cancelled(count);
  }

  handedBack({ index, attempt }: TakenItem): void {
    this.chunk.leave(this.placeOf(index), attempt - 1, undefined);
  }
}
