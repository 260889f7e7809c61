import { toError } from '../../core/to-error.js';
import type { RowOutcome, UploadStore } from './upload-store.js';

/** What is told of writes that no run waits for. */
export interface LateOutcomesListener {
  /** `writing` goes on until all that is to be written is written. It never rejects. */
  writingBegan(writing: Promise<void>): void;
  /**
   * The outcomes of `rows`, by their numbers, could not be written, and are lost to the store. No rows: all outcomes are
   * written, and it was the status that could not be brought up to date.
   */
  writeFailed(rows: readonly number[], error: Error): void;
}

/** Writes outcomes of an upload's rows that come after their page was recorded, and brings the status up to date. */
export class LateOutcomes {
  /** By the number of the row: what came while something else was written. */
  private readonly waiting = new Map<number, RowOutcome>();
  private writing: Promise<void> | undefined = undefined;

  constructor(
    private readonly uploadId: string,
    private readonly store: Pick<UploadStore, 'recordOutcomes' | 'finish'>,
    private readonly listener: LateOutcomesListener,
  ) {}

  /** Writes an outcome at once, or with all others that have come when the write under way has ended. */
  write(outcome: RowOutcome): void {
    this.waiting.set(outcome.number, outcome);
    if (this.writing !== undefined) return;
    this.writing = this.writeWaiting();
    this.listener.writingBegan(this.writing);
  }

  /** Resolves when all that came is written, or could not be. */
  async written(): Promise<void> {
    await this.writing;
  }

  private async writeWaiting(): Promise<void> {
    while (this.waiting.size > 0) {
      const outcomes = [...this.waiting.values()];
      let unwritten = [...this.waiting.keys()];
      this.waiting.clear();
      try {
        await this.store.recordOutcomes(this.uploadId, outcomes);
        unwritten = [];
        await this.store.finish(this.uploadId);
      } catch (error) {
        this.listener.writeFailed(unwritten, toError(error));
      }
    }
    this.writing = undefined;
  }
}
