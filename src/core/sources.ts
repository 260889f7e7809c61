import { isThenable } from './is-thenable.js';
import { refuseProblems } from './option-rules.js';
import { toError } from './to-error.js';

/** Where the items of a job come from: one item, an array, or anything that can be iterated. */
export type Source<Payload> = Payload | readonly Payload[] | Iterable<Payload> | AsyncIterable<Payload>;

/** An array, read: a copy that nobody else holds. */
export interface ReadArray<Payload> {
  readonly kind: 'array';
  readonly payloads: readonly Payload[];
  /** What reading the item after these threw; undefined when all were read. */
  readonly failure: Error | undefined;
}

/** A source by its kind. */
export type ClassifiedSource<Payload> =
  | { readonly kind: 'item'; readonly payload: Payload }
  | ReadArray<Payload>
  | { readonly kind: 'stream'; readonly iterator: Iterator<Payload> | AsyncIterator<Payload> };

/**
 * Tells what kind of source `source` is. Arrays, iterables and async iterables are many items; all else is one, texts
 * and bytes included, although they can be iterated. To submit an array or an iterable as one item, wrap it: `[item]`.
 *
 * @throws InvalidOptionsError when it is a promise: somebody forgot to await it
 */
export function classifySource<Payload>(source: Source<Payload>): ClassifiedSource<Payload> {
  if (Array.isArray(source)) return readArray(source as readonly Payload[]);
  if (typeof source !== 'object' || source === null || ArrayBuffer.isView(source)) {
    return { kind: 'item', payload: source };
  }
  if (Symbol.asyncIterator in source) return { kind: 'stream', iterator: source[Symbol.asyncIterator]() };
  if (Symbol.iterator in source) return { kind: 'stream', iterator: source[Symbol.iterator]() };
  if (isThenable(source)) {
    refuseProblems('distributeWork()', [
      'source: expected an item, an array, an iterable or an async iterable, got a promise; await it first',
    ]);
  }
  return { kind: 'item', payload: source };
}

/** Reads it in one go: getters and proxies are code of the user's, which must not find a queue half changed. */
function readArray<Payload>(source: readonly Payload[]): ReadArray<Payload> {
  try {
    return { kind: 'array', payloads: [...source], failure: undefined };
  } catch {
    return readAsFarAsPossible(source);
  }
}

function readAsFarAsPossible<Payload>(source: readonly Payload[]): ReadArray<Payload> {
  const payloads: Payload[] = [];
  try {
    for (const payload of source) payloads.push(payload);
    return { kind: 'array', payloads, failure: undefined };
  } catch (error) {
    return { kind: 'array', payloads, failure: toError(error) };
  }
}
