import { describe, expect, test } from '@jest/globals';
import { ChunkIds } from '../../../src/engines/durable/chunk-ids.js';
import type { NewChunk } from '../../../src/engines/durable/chunk-queue.js';
import { GroupCommit } from '../../../src/engines/durable/group-commit.js';
import { deferred, type Deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';

/** A queue whose writes the test answers. */
class HeldQueue {
  readonly writes: { readonly chunks: readonly NewChunk[]; readonly answer: Deferred }[] = [];

  async add(chunks: readonly NewChunk[]): Promise<readonly string[]> {
    const answer = deferred();
    this.writes.push({ chunks, answer });
    await answer.promise;
    return chunks.map(({ id }) => id);
  }

  /** The items of each chunk of each write. */
  get items(): unknown[][][] {
    return this.writes.map(({ chunks }) => chunks.map(({ text }) => JSON.parse(text).items as unknown[]));
  }
}

function start(chunkSize = 4) {
  const queue = new HeldQueue();
  const commit = new GroupCommit(queue, { chunkSize, maxChunkBytes: 1_000 }, new ChunkIds());
  let sequence = 0;
  return { queue, write: (item: number) => commit.write(String(item), 'Ab', sequence++) };
}

describe('many callers that each submit one item', () => {
  test('share a write when they come in one turn, and two writes are under way at the most', async () => {
    const { queue, write } = start();
    void write(1);
    void write(2);
    await settle();
    void write(3);
    await settle();
    void write(4);
    void write(5);
    await settle();
    expect(queue.items).toEqual([[[1, 2]], [[3]]]);
    queue.writes[1]!.answer.resolve();
    await settle();
    expect(queue.items).toEqual([[[1, 2]], [[3]], [[4, 5]]]);
  });

  test('are told once their own item is stored, and not before', async () => {
    const { queue, write } = start();
    const told: number[] = [];
    for (const item of [1, 2]) void write(item).then(() => told.push(item));
    await settle();
    void write(3).then(() => told.push(3));
    await settle();
    expect(told).toEqual([]);
    queue.writes[1]!.answer.resolve();
    await settle();
    expect(told).toEqual([3]);
    queue.writes[0]!.answer.resolve();
    await settle();
    expect(told).toEqual([3, 1, 2]);
  });

  test('fill several chunks that go in one write', async () => {
    const { queue, write } = start(2);
    for (const item of [1, 2, 3, 4, 5]) void write(item);
    await settle();
    expect(queue.items).toEqual([[[1, 2], [3, 4], [5]]]);
    expect(new Set(queue.writes[0]!.chunks.map(({ id }) => id)).size).toBe(3);
  });

  test('are told of a write that failed, and the next ones are not touched by it', async () => {
    const { queue, write } = start();
    const [first, second] = [write(1), write(2)];
    await settle();
    const third = write(3);
    await settle();
    const error = new Error('no room');
    queue.writes[0]!.answer.reject(error);
    queue.writes[1]!.answer.resolve();
    expect(await Promise.all([first, second, third])).toEqual([error, error, undefined]);
  });
});
