import { keyOf } from './item-keys.js';
import type { Job } from './job.js';
import type { ClassifiedSource, ReadArray } from './sources.js';
import type { UniqueKeys } from './unique-keys.js';

const NOTHING: ClassifiedSource<never> = Object.freeze({ kind: 'array', payloads: [], failure: undefined });

/**
 * What of the `work` of `job` is no duplicate. Of a stream, `isDuplicate` tells of each item as it is read.
 *
 * @param keys of the items, by their places
 */
export function withoutDuplicates(
  work: ClassifiedSource<unknown>,
  keys: readonly string[],
  job: Job,
  unique: UniqueKeys,
): ClassifiedSource<unknown> {
  job.uniqueKeys = [];
  switch (work.kind) {
    case 'item':
      return hold(job, keys[0]!, unique) ? work : NOTHING;
    case 'array':
      return withoutDuplicatesOfArray(work, keys, job, unique);
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
  unique: UniqueKeys,
): ReadArray<unknown> {
  const isFirst = keys.map((key) => hold(job, key, unique));
  job.orderKeys = job.orderKeys?.filter((_, place) => isFirst[place]);
  return { ...work, payloads: work.payloads.filter((_, place) => isFirst[place]) };
}

/** Whether another item has the key of the next item of `job`. @throws InvalidOptionsError when it is none; what makes it throws */
export function isDuplicate(job: Job, payload: unknown, unique: UniqueKeys): boolean {
  const key = keyOf('uniqueKey', job.options!.uniqueKey!, payload, job.accepted + job.duplicates);
  return !hold(job, key, unique);
}

/** Holds the key for the next item of `job` if it is free; else the item counts as a duplicate. */
function hold(job: Job, key: string, unique: UniqueKeys): boolean {
  const isFree = unique.hold(key, job.options!.uniqueForMs ?? Infinity);
  if (isFree) job.uniqueKeys!.push(key);
  else job.duplicates++;
  return isFree;
}
