import type { Outcome } from '../../core/outcome.js';
import type { JobObserver } from '../../core/submit-options.js';
import type { LateOutcomes } from './late-outcomes.js';
import { rowOutcome } from './row-outcome.js';
import type { RowTally } from './row-tally.js';
import type { RowOutcome } from './upload-store.js';

/**
 * What becomes of the rows of a page: gathered until the page is recorded, and written one by one from then on, as when a
 * dead letter is redriven. A dead letter keeps this alive, so it holds no payloads, and no number of a row that is done.
 */
export class PageOutcomes implements JobObserver {
  /** By the index of the item, the numbers of the rows that are not done. */
  private readonly numbers: Map<number, number>;
  /** By the number of the row, so that the last outcome of one counts; undefined once the page is recorded. */
  private gathered: Map<number, RowOutcome> | undefined = new Map();

  constructor(
    numbers: readonly number[],
    private readonly tally: RowTally,
    private readonly late: LateOutcomes,
  ) {
    this.numbers = new Map(numbers.entries());
  }

  itemEnded(index: number, outcome: Exclude<Outcome, { kind: 'retry' }>, attempts: number): void {
    const row = rowOutcome(this.numbers.get(index)!, outcome, attempts);
    this.tally.count(row);
    if (row.state === 'done') this.numbers.delete(index);
    if (this.gathered === undefined) this.late.write(row);
    else this.gathered.set(row.number, row);
  }

  /** Has `write` write what was gathered. */
  async record(write: (outcomes: readonly RowOutcome[]) => Promise<void>): Promise<void> {
    const outcomes = [...this.gathered!.values()];
    this.gathered!.clear();
    try {
      if (outcomes.length > 0) await write(outcomes);
    } finally {
      for (const row of this.gathered!.values()) this.late.write(row);
      this.gathered = undefined;
    }
  }
}
