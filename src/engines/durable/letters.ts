import type { DeadLetter } from '../../core/dead-letters.js';
import type { DeadInChunk } from './leased-chunk.js';
import type { ShelvedLetter, StoredLetter } from './letter-shelf.js';
import { StoredLetterError, toStoredError } from './stored-error.js';

/**
 * @param diedAtMs milliseconds since the Unix epoch
 * @param queue the name of the queue that it came from
 */
export function toStoredLetter(
  { job, index, payload, reason, error, attempts, isTracked }: DeadInChunk,
  diedAtMs: number,
  queue: string | undefined,
): StoredLetter {
  return {
    id: `${job.id}:${index}`,
    jobId: job.id,
    index,
    payload,
    reason,
    error: toStoredError(error),
    attempts,
    diedAtMs,
    isTracked,
    queue,
  };
}

/** @param error what the item died of, where it is at hand */
export function toDeadLetter(
  type: string,
  { id, jobId, index, payload, reason, attempts, diedAtMs, sequence, error: stored }: ShelvedLetter,
  error: Error = new StoredLetterError(stored),
): DeadLetter {
  return Object.freeze({ id, type, jobId, index, payload, reason, error, attempts, diedAtMs, sequence });
}
