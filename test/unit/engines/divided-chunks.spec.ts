import { describe, expect, test } from '@jest/globals';
import { makeRemainder } from '../../../src/engines/durable/remainder.js';
import { splitSuspect } from '../../../src/engines/durable/split-suspect.js';
import type { ChunkContent } from '../../../src/engines/durable/chunk-format.js';
import type { LeasedChunk } from '../../../src/engines/durable/leased-chunk.js';
import { ids, leasedChunk, limits, WatchedQueue } from './chunk-writes.js';

const { queue } = new WatchedQueue();

const remainderOf = (chunk: LeasedChunk, places: readonly number[], nowMs = 0) =>
  makeRemainder(
    [{ chunk, items: places.map((place) => ({ place, attempts: 1, delayMs: undefined })) }],
    nowMs,
    limits,
    ids,
  );

const keysOf = (chunk: LeasedChunk) => splitSuspect(chunk, ids).map(({ key }) => key?.id);

describe('what is left of chunks', () => {
  test('can be stored once for a lease, whenever that is tried, and anew for the next lease', async () => {
    const chunk = leasedChunk(queue, 3);
    const [once] = await remainderOf(chunk, [1, 2]);
    const [again] = await remainderOf(leasedChunk(queue, 3), [1, 2], 5_000);
    const [later] = await remainderOf(leasedChunk(queue, 3, { lease: { number: 2 } }), [1, 2]);
    expect(once!.key).toMatchObject({ heldForMs: 600_000 });
    expect(again!.key).toEqual(once!.key);
    expect(later!.key!.id).not.toBe(once!.key!.id);
    // Another part of the same chunk.
    expect((await remainderOf(chunk, [0]))[0]!.key!.id).not.toBe(once!.key!.id);
  });
});

describe('the parts of a chunk whose process died', () => {
  test('can be stored once, each of them', () => {
    const keys = keysOf(leasedChunk(queue, 16));
    expect(new Set(keys).size).toBe(8);
    expect(keys).not.toContain(undefined);
    // Whoever splits it once more, under another lease, stores nothing.
    expect(keysOf(leasedChunk(queue, 16, { lease: { number: 2 } }))).toEqual(keys);
    expect(keysOf(leasedChunk(queue, 16, { lease: { chunkId: 'b' } }))).not.toContain(keys[0]);
  });

  test('have the attempts of their items behind them, what is settled left out, and are suspects when alone', () => {
    const settled = Buffer.from([0b0100_0000]).toString('base64');
    const chunk = leasedChunk(queue, 3, { heads: { 2: { a: 2 } }, lease: { noted: { settled } } });
    const parts = splitSuspect(chunk, ids).map(({ text }) => JSON.parse(text) as ChunkContent);
    expect(parts.map(({ items, heads }) => [items, heads])).toEqual([
      [[0], { 0: { s: 1 } }],
      [[2], { 0: { a: 2, s: 1 } }],
    ]);
    const large = leasedChunk(queue, 16, { heads: { 1: { a: 2 } } });
    expect((JSON.parse(splitSuspect(large, ids)[0]!.text) as ChunkContent).heads).toEqual({ 1: { a: 2 } });
  });
});
