import type { TakenBatch, TakenItem } from '../../src/core/waiting-items.js';
import { makeJob } from './jobs.js';

/** For `take` to write into. */
export function emptyItem(): TakenItem {
  return { payload: undefined, job: makeJob(), index: 0, attempt: 0 };
}

/** For `takeBatch` to write into. */
export function emptyBatch(): TakenBatch {
  return { payloads: [], kept: [], jobs: [], indices: [], attempts: [] };
}
