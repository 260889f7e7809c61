import { isProxy } from 'node:util/types';

/** Where the items of a job come from: one item, an array, or anything that can be iterated. */
export type Source<Payload> = Payload | readonly Payload[] | Iterable<Payload> | AsyncIterable<Payload>;

/** A source by its kind. */
export type ClassifiedSource<Payload> =
  | { readonly kind: 'item'; readonly payload: Payload }
  | { readonly kind: 'array'; readonly payloads: readonly Payload[] }
  | { readonly kind: 'stream'; readonly iterator: Iterator<Payload> | AsyncIterator<Payload> };

/**
 * Tells what kind of source `source` is. Arrays, iterables and async iterables are many items; all else is one, texts
 * and bytes included, although they can be iterated. To submit an array or an iterable as one item, wrap it: `[item]`.
 */
export function classifySource<Payload>(source: Source<Payload>): ClassifiedSource<Payload> {
  if (Array.isArray(source)) {
    // A proxy is read here, where a trap that throws has changed nothing yet.
    return { kind: 'array', payloads: isProxy(source) ? [...(source as Payload[])] : source };
  }
  if (typeof source !== 'object' || source === null || ArrayBuffer.isView(source)) {
    return { kind: 'item', payload: source };
  }
  if (Symbol.asyncIterator in source) return { kind: 'stream', iterator: source[Symbol.asyncIterator]() };
  if (Symbol.iterator in source) return { kind: 'stream', iterator: source[Symbol.iterator]() };
  return { kind: 'item', payload: source };
}
