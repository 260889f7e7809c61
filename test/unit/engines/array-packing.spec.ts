import { describe, expect, test } from '@jest/globals';
import { TimeSlices } from '../../../src/core/time-slices.js';
import { ArrayPacking, type ItemsAtHand } from '../../../src/engines/durable/array-packing.js';
import type { ChunkContent } from '../../../src/engines/durable/chunk-format.js';
import { ChunkIds } from '../../../src/engines/durable/chunk-ids.js';
import { ChunkPacker } from '../../../src/engines/durable/chunk-packer.js';
import type { ChunkQueue } from '../../../src/engines/durable/chunk-queue.js';
import type { Job } from '../../../src/core/job.js';
import { ManualClock } from '../../support/manual-clock.js';

const LANE = { name: 'lane' } as unknown as ChunkQueue;
const PARTITION = { name: 'partition' } as unknown as ChunkQueue;
const MAX_ITEM_BYTES = 10_000;

function packingOf(
  items: Partial<ItemsAtHand> & Pick<ItemsAtHand, 'payloads'>,
  limits = { chunkSize: 4, maxChunkBytes: 2_000 },
) {
  const type = { limits, queues: { ofLane: () => LANE, ofKey: () => PARTITION } };
  const packer = new ChunkPacker(
    { id: 'job-1' } as Job,
    type as never,
    {},
    {
      ids: new ChunkIds(),
      dueAtMs: 0,
      maxItemBytes: MAX_ITEM_BYTES,
    },
  );
  const packing = new ArrayPacking({ uniqueKeys: undefined, orderKeys: undefined, ...items }, packer, {
    type: 'mail',
    limits,
    maxItemBytes: MAX_ITEM_BYTES,
    slices: new TimeSlices(new ManualClock()),
  });
  return { packer, packing };
}

/** All that is packed, write by write. */
async function packAll(...args: Parameters<typeof packingOf>): Promise<ChunkContent[][]> {
  const { packer, packing } = packingOf(...args);
  const writes: ChunkContent[][] = [];
  do {
    await packing.pack();
    writes.push(packer.take().map(({ chunk }) => JSON.parse(chunk.text) as ChunkContent));
  } while (!packing.isDone);
  expect(packer.isEmpty).toBe(true);
  return writes;
}

/** What the job would be read as again: payloads by their indices. */
function itemsOf(writes: readonly ChunkContent[][]): unknown[] {
  const items: unknown[] = [];
  for (const { of, items: payloads } of writes.flat()) {
    let place = 0;
    for (const [kind, id, first, count] of of) {
      expect([kind, id]).toEqual(['job', 'job-1']);
      for (let index = first; index < first + count; index++) items[index] = payloads[place++];
    }
    expect(place).toBe(payloads.length);
  }
  return items;
}

function sizesOf(writes: ChunkContent[][]): number[] {
  return writes.flat().map(({ items }) => items.length);
}

describe('the items of an array', () => {
  const mixtures: [string, unknown[]][] = [
    ['plain ones', Array.from({ length: 11 }, (_, id) => ({ id }))],
    ['values of all kinds', ['a', 1, true, null, '', 0, false, { deep: [null, { x: '"]}' }] }]],
    ['ones with a text of their own', [{ a: 1 }, new Date(0), { toJSON: () => 'own' }, 7, 8, 9]],
    ['one that is larger than a chunk among small ones', [1, 2, 3, 'x'.repeat(3_000), 4, 5, 6, 7, 8]],
    ['none', []],
  ];

  test.each(mixtures)('are all there, once, by their indices: %s', async (_, payloads) => {
    expect(itemsOf(await packAll({ payloads }))).toEqual(JSON.parse(JSON.stringify(payloads)));
  });

  test('fill their chunks, whether they are written in one go or one by one', async () => {
    expect(sizesOf(await packAll({ payloads: [1, 2, 3, 4, 5, 6, 7, 8, 9] }))).toEqual([4, 4, 1]);
    expect(sizesOf(await packAll({ payloads: [new Date(0), 2, 3, 4, 5, 6, 7, 8, 9] }))).toEqual([4, 4, 1]);
  });

  test('make no chunk that is larger than it may be', async () => {
    const payloads = Array.from({ length: 12 }, () => 'x'.repeat(900));
    const chunks = (await packAll({ payloads })).flat();
    expect(chunks.map(({ items }) => items.length)).toEqual([2, 2, 2, 2, 2, 2]);
  });

  test('travel alone where they have keys', async () => {
    const payloads = [1, 2, 3];
    const { packer, packing } = packingOf({ payloads, uniqueKeys: ['a', 'b', 'c'] });
    await packing.pack();
    const packed = packer.take();
    expect(packed.map(({ chunk }) => chunk.key?.id)).toEqual(['u.a', 'u.b', 'u.c']);
    expect(packed.map(({ items }) => items)).toEqual([1, 1, 1]);
    const ordered = packingOf({ payloads, orderKeys: ['a', 'b', 'c'] });
    await ordered.packing.pack();
    expect(ordered.packer.take().map(({ queue }) => queue)).toEqual([PARTITION, PARTITION, PARTITION]);
  });

  test('go to the store in writes of thousands, not all at once', async () => {
    const payloads = Array.from({ length: 10_000 }, (_, id) => id);
    const writes = await packAll({ payloads }, { chunkSize: 512, maxChunkBytes: 256_000 });
    expect(writes.map((chunks) => chunks.length)).toEqual([8, 8, 4]);
    expect(itemsOf(writes)).toEqual(payloads);
  });

  test('are looked at to the last one before the first is stored', async () => {
    const payloads: unknown[] = Array.from({ length: 10_000 }, (_, id) => id);
    for (const [bad, message] of [
      [undefined, 'Item at 9999 for "mail": expected a JSON value, got undefined'],
      [() => 1, 'Item at 9999 for "mail": expected a JSON value, got a function'],
      [1n, 'Item at 9999 for "mail": expected a JSON value, got'],
      [new Uint8Array(3), 'Item at 9999 for "mail": expected a JSON value, got'],
      ['x'.repeat(MAX_ITEM_BYTES), 'Item at 9999 for "mail": expected at most 10000 bytes'],
    ] as const) {
      payloads[9_999] = bad;
      const { packing } = packingOf({ payloads }, { chunkSize: 512, maxChunkBytes: 256_000 });
      await packing.pack();
      expect(packing.isDone).toBe(false);
      await expect(packing.checkRest()).rejects.toThrow(message);
    }
  });

  test('are refused by their place also in the first write', async () => {
    const { packing } = packingOf({ payloads: [1, 2, { self: [1n] }] });
    await expect(packing.pack()).rejects.toThrow('Item at 2 for "mail"');
  });
});
