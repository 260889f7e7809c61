import type { RowOutcome } from './upload-store.js';

/** Counts the rows of a run, each as what it ended as at last: one whose dead letter was redriven ends again. */
export class RowTally {
  done = 0;
  private readonly failedRows = new Set<number>();

  get failed(): number {
    return this.failedRows.size;
  }

  count({ number, state }: RowOutcome): void {
    switch (state) {
      case 'done':
        this.failedRows.delete(number);
        this.done++;
        break;
      case 'failed':
        this.failedRows.add(number);
        break;
      default:
        state satisfies never;
    }
  }
}
