import { number, oneOf, wholeNumber, type Rules } from '../../../core/option-rules.js';
import type { UploadStatus } from '../upload-store.js';

/** Which uploads are wanted. */
export interface UploadQuery {
  /** Only those that stand there. Default: all. */
  readonly status?: UploadStatus;
  /** Only those that began to come in at least so many milliseconds ago, by the database's clock. Default 0: all. */
  readonly olderThanMs?: number;
  /** How many at the most, 1 or more. Default 1,000. */
  readonly limit?: number;
}

/** Beyond that, dates end. */
const HUNDRED_YEARS_MS = 100 * 365.25 * 24 * 3_600_000;

const STATUSES = Object.keys({
  receiving: true,
  received: true,
  processing: true,
  completed: true,
  'completed-with-failures': true,
  aborted: true,
} satisfies Record<UploadStatus, true>);

export const uploadQueryRules: Rules<UploadQuery> = {
  status: oneOf('the status of an upload', STATUSES),
  // Not a timer's duration: uploads grow older than 25 days.
  olderThanMs: number(0, HUNDRED_YEARS_MS),
  limit: wholeNumber(1),
};
