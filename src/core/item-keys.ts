import { describe } from './describe.js';
import { InvalidOptionsError } from './errors.js';
import type { ClassifiedSource } from './sources.js';

/** A text for one item, or a function that makes one of each payload. */
export type ItemKey = string | ((payload: never) => string);

/**
 * The keys of the items that are at hand, by their places; those of a stream are made as it is read.
 *
 * @param option the name of the submit option
 * @throws InvalidOptionsError when several items are given one key, or a key is no text; what the function throws
 */
export function keysOf(option: string, key: ItemKey, work: ClassifiedSource<unknown>): string[] {
  switch (work.kind) {
    case 'item':
      return [keyOf(option, key, work.payload, 0)];
    case 'array':
      return work.payloads.map((payload, place) => keyOf(option, functionOf(option, key), payload, place));
    case 'stream':
      functionOf(option, key);
      return [];
    default:
      return work satisfies never;
  }
}

/** @throws InvalidOptionsError when it is no text; what the function throws */
export function keyOf(option: string, key: ItemKey, payload: unknown, place: number): string {
  const text: unknown = typeof key === 'string' ? key : key(payload as never);
  if (typeof text === 'string' && text !== '') return text;
  return refuse(
    `${option}: expected a text that is not empty for the item at ${place}, got ${describe(text)}`,
  );
}

function functionOf(option: string, key: ItemKey): ItemKey {
  if (typeof key === 'function') return key;
  return refuse(`${option}: expected a function of the payload for several items, got ${describe(key)}`);
}

function refuse(problem: string): never {
  throw new InvalidOptionsError('distributeWork()', [problem]);
}
