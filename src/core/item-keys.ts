import { describe } from './describe.js';
import { InvalidOptionsError } from './errors.js';
import type { ClassifiedSource } from './sources.js';

/** A text for one item, or a function that makes one of each payload. */
export type ItemKey = string | ((payload: never) => string);

/** The submit options that are keys. */
export type KeyOption = 'uniqueKey' | 'orderKey';

/**
 * The keys of the items that are at hand, by their places; those of a stream are made as it is read.
 *
 * @throws InvalidOptionsError when several items are given one unique key, or a key is no text; what the function throws
 */
export function keysOf(option: KeyOption, key: ItemKey, work: ClassifiedSource<unknown>): string[] {
  if (work.kind !== 'item' && option === 'uniqueKey') refuseText(option, key);
  switch (work.kind) {
    case 'item':
      return [keyOf(option, key, work.payload, 0)];
    case 'array':
      return work.payloads.map((payload, place) => keyOf(option, key, payload, place));
    case 'stream':
      return [];
    default:
      return work satisfies never;
  }
}

/** @throws InvalidOptionsError when it is no text; what the function throws */
export function keyOf(option: KeyOption, key: ItemKey, payload: unknown, place: number): string {
  const text: unknown = typeof key === 'string' ? key : key(payload as never);
  if (typeof text === 'string' && text !== '') return text;
  return refuse(
    `${option}: expected a text that is not empty for the item at ${place}, got ${describe(text)}`,
  );
}

function refuseText(option: KeyOption, key: ItemKey): void {
  if (typeof key === 'string')
    refuse(`${option}: expected a function of the payload for several items, got ${describe(key)}`);
}

function refuse(problem: string): never {
  throw new InvalidOptionsError('distributeWork()', [problem]);
}
