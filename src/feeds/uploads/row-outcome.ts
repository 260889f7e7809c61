import type { Outcome } from '../../core/outcome.js';
import { errorText } from '../../core/error-text.js';
import type { RowOutcome } from './upload-store.js';

/** What became of a row, by what became of its item. */
export function rowOutcome(
  number: number,
  outcome: Exclude<Outcome, { kind: 'retry' }>,
  attempts: number,
): RowOutcome {
  switch (outcome.kind) {
    case 'completed':
      return { number, attempts, state: 'done' };
    case 'dead':
      return { number, attempts, state: 'failed', error: errorText(outcome.error) };
    default:
      return outcome satisfies never;
  }
}
