import { InvalidWorkerError } from '../core/errors.js';

/**
 * For a worker that would be one and the same in all places of the pool.
 *
 * @param remedy what to do about it
 */
export function sharedWorkerError(type: string, remedy: string): InvalidWorkerError {
  return new InvalidWorkerError(
    type,
    `expected a transient provider, as each place in the pool needs a worker of its own; ${remedy}`,
  );
}
