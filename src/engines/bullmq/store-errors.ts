import { BackgroundWorkerError } from '../../core/errors.js';
import { errorText } from '../../core/error-text.js';

/** Redis did not answer within `connectTimeoutMs` at the start. */
export class StoreUnreachableError extends BackgroundWorkerError {
  readonly code = 'STORE_UNREACHABLE';

  constructor(
    /** Where it was looked for, without a password. */
    readonly address: string,
    readonly connectTimeoutMs: number,
    lastError: Error | undefined,
  ) {
    const why = lastError === undefined ? 'it does not answer' : errorText(lastError);
    super(
      `Redis at ${address} could not be reached within connectTimeoutMs (${connectTimeoutMs}): ${why}`,
      lastError === undefined ? undefined : { cause: lastError },
    );
  }
}

/**
 * Redis can't be reached, or refuses to work, at the moment. What was asked for may have been done or not: a write whose
 * answer was lost looks like one that never arrived. `cause` is what the client said, where it said something.
 */
export class StoreUnavailableError extends BackgroundWorkerError {
  readonly code = 'STORE_UNAVAILABLE';

  constructor(
    /** Where it was looked for, without a password. */
    readonly address: string,
    cause?: Error,
  ) {
    super(
      `Redis at ${address} is not available${cause === undefined ? '' : `: ${errorText(cause)}`}`,
      cause === undefined ? undefined : { cause },
    );
  }
}
