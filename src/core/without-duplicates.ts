import { HeldKeys } from './held-keys.js';
import type { Job } from './job.js';
import type { ClassifiedSource, ReadArray } from './sources.js';
import type { UniqueKeys } from './unique-keys.js';

const NOTHING: ClassifiedSource<never> = Object.freeze({ kind: 'array', payloads: [], failure: undefined });

/** How many items have keys that are free, and other ones than those before them. */
export function countWanted(keys: readonly string[], unique: UniqueKeys): number {
  return new Set(keys.filter((key) => !unique.isHeld(key))).size;
}

/**
 * What of the `work` of `job` is no duplicate. Of a stream, `holdKey` tells of each item as it is read.
 *
 * @param keys of the items, by their places
 */
export function withoutDuplicates(
  work: ClassifiedSource<unknown>,
  keys: readonly string[],
  job: Job,
  unique: UniqueKeys,
): ClassifiedSource<unknown> {
  job.uniqueKeys = new HeldKeys(unique);
  switch (work.kind) {
    case 'item':
      return holdKey(job, 0, keys[0]!) ? work : NOTHING;
    case 'array':
      return withoutDuplicatesOfArray(work, keys, job);
    case 'stream':
      return work;
    default:
      return work satisfies never;
  }
}

function withoutDuplicatesOfArray(
  work: ReadArray<unknown>,
  keys: readonly string[],
  job: Job,
): ReadArray<unknown> {
  const isFirst = keys.map((key, place) => holdKey(job, place - job.duplicates, key));
  job.orderKeys = job.orderKeys?.filter(isFirst);
  return { ...work, payloads: work.payloads.filter((_, place) => isFirst[place]) };
}

/** Holds the unique key of the item of `job` that will have the `index`, if it is free; else the item counts as a duplicate. */
export function holdKey(job: Job, index: number, key: string): boolean {
  const isFree = job.uniqueKeys!.hold(index, key, job.options!.uniqueForMs ?? Infinity);
  if (!isFree) job.duplicates++;
  return isFree;
}
