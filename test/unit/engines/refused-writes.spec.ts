import { describe, expect, test } from '@jest/globals';
import { ChunkSettlement } from '../../../src/engines/durable/chunk-settlement.js';
import type { LeasedChunk } from '../../../src/engines/durable/leased-chunk.js';
import { ManualClock } from '../../support/manual-clock.js';
import { bury, ids, leasedChunk, limits, WatchedQueue } from './chunk-writes.js';

const GATHERED_MS = 50;

describe('what the store refuses of one chunk', () => {
  test('does not hold those that are settled with it, of which nothing is stored twice', async () => {
    const clock = new ManualClock();
    const watched = new WatchedQueue();
    const [bad, good] = ['bad', 'good'].map((chunkId) =>
      leasedChunk(watched.queue, 3, { lease: { chunkId } }),
    ) as [LeasedChunk, LeasedChunk];
    const badJob = bad.runs[0]!.job;
    const asked: number[] = [];
    const lost: LeasedChunk[] = [];
    const ended: LeasedChunk[] = [];
    const troubles: unknown[] = [];
    const settlement = new ChunkSettlement({
      clock,
      limits,
      ids,
      records: { raise: () => Promise.resolve() } as never,
      bury: (dead) => {
        asked.push(dead.length);
        if (dead.some(({ job }) => job === badJob)) return Promise.reject(new Error('WRONGTYPE'));
        return Promise.resolve(() => undefined);
      },
      chunkEnded: (chunk) => ended.push(chunk),
      leaseLost: (chunk) => lost.push(chunk),
      claimsNext: () => false,
      nextLeased: () => undefined,
      recordsRaised: () => undefined,
      troubled: (error) => troubles.push(error),
    });
    for (const chunk of [bad, good]) {
      chunk.completed(0, 1);
      bury(chunk, 1);
      chunk.leave(2, 1, 1_000);
      settlement.settle(chunk);
    }
    await clock.turn(GATHERED_MS);
    expect(asked).toEqual([2, 1, 1]);
    expect(watched.told).toEqual(['renew', 'add', 'complete']);
    expect(watched.added).toHaveLength(1);
    expect(lost).toEqual([bad]);
    expect(ended).toEqual([bad, good]);
    expect(troubles).toHaveLength(2);
    // Nothing is tried again.
    expect(clock.timers).toBe(0);
  });
});
