import { BackgroundWorkerError } from '../../core/errors.js';

/** Whether a store threw this as it can't be asked at the moment: it may answer when it is asked again. */
export function isStoreAway(error: unknown): boolean {
  return error instanceof BackgroundWorkerError && error.code === 'STORE_UNAVAILABLE';
}
