import { RetryLaterError, UnrecoverableError } from './errors.js';
import type { Outcome } from './outcome.js';

/** When and how often a failed item is run again. */
export interface RetryPolicy {
  /** Retries after the first attempt. 0: the first failure is final. Default 3. */
  readonly limit: number;
  /** Milliseconds before the first retry. 0: at once. Default 1,000. */
  readonly backoffMs: number;
  /** What the delay is multiplied with from one retry to the next, 1 or more. 1: always the same. Default 2. */
  readonly factor: number;
  /** Longest delay in milliseconds, before jitter; at least `backoffMs`. Default 60,000, or `backoffMs` if that is more. */
  readonly maxBackoffMs: number;
  /** Part of the delay that is random, 0 to 1: a delay d becomes d × (1 ± jitter). Default 0.2. */
  readonly jitter: number;
  /**
   * Says of an error whether another attempt can help. Default: all but `UnrecoverableError`, which never reaches
   * this function.
   */
  readonly retryable: (error: Error) => boolean;
}

/**
 * Milliseconds before the retry that follows the failed attempt number `attempt` (1 is the first):
 * `min(maxBackoffMs, backoffMs × factor^(attempt − 1)) × (1 ± jitter)`, exponential backoff as in M. Brooker,
 * "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 *
 * @param random a number in [0, 1)
 */
export function backoffMs(policy: RetryPolicy, attempt: number, random: number): number {
  // Kept finite, as 0 × Infinity would be no number.
  const growth = Math.min(Number.MAX_VALUE, policy.factor ** (attempt - 1));
  const delayMs = Math.min(policy.maxBackoffMs, policy.backoffMs * growth);
  return delayMs * (1 + policy.jitter * (2 * random - 1));
}

/**
 * What a failed attempt ends as.
 *
 * @param attempt number of the failed attempt, 1 for the first
 * @param random a number in [0, 1)
 */
export function classifyFailure(
  policy: RetryPolicy,
  error: Error,
  attempt: number,
  random: number,
): Extract<Outcome, { kind: 'retry' | 'dead' }> {
  if (error instanceof UnrecoverableError) return { kind: 'dead', reason: 'unrecoverable', error };
  if (attempt > policy.limit) return { kind: 'dead', reason: 'attempts-exhausted', error };
  const askedMs = askedDelayMs(error);
  if (askedMs !== undefined) return { kind: 'retry', delayMs: askedMs, error };
  if (!policy.retryable(error)) return { kind: 'dead', reason: 'unrecoverable', error };
  return { kind: 'retry', delayMs: backoffMs(policy, attempt, random), error };
}

/** The delay that a handler asks for. A subclass may have put anything in its place, so it is read once. */
function askedDelayMs(error: Error): number | undefined {
  if (!(error instanceof RetryLaterError)) return undefined;
  const { delayMs } = error;
  return Number.isFinite(delayMs) && delayMs >= 0 ? delayMs : undefined;
}
