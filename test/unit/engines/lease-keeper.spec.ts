import { describe, expect, test } from '@jest/globals';
import { LeaseKeeper } from '../../../src/engines/durable/lease-keeper.js';
import type { LeasedChunk } from '../../../src/engines/durable/leased-chunk.js';
import { ManualClock } from '../../support/manual-clock.js';
import { leasedChunk, WatchedQueue } from './chunk-writes.js';

const LEASE_MS = 4_000;

function keeperOf() {
  const clock = new ManualClock();
  const lost: (readonly [LeasedChunk, number])[] = [];
  const renewed: LeasedChunk[] = [];
  const keeper = new LeaseKeeper(LEASE_MS, clock, {
    lost: (chunk, unheardMs) => lost.push([chunk, unheardMs]),
    renewed: (chunks) => renewed.push(...chunks),
    troubled: () => undefined,
  });
  return { clock, keeper, lost, renewed };
}

describe('the keeper of leases', () => {
  test('prolongs them four times in their length, and tells of one that is lost, once', async () => {
    const { clock, keeper, lost, renewed } = keeperOf();
    const watched = new WatchedQueue();
    const chunk = leasedChunk(watched.queue, 1);
    keeper.add(chunk);
    await clock.turn(LEASE_MS);
    expect(watched.told).toEqual(['renew', 'renew', 'renew', 'renew']);
    expect(renewed).toEqual([chunk, chunk, chunk, chunk]);
    watched.isHeld = false;
    await clock.turn(LEASE_MS);
    expect(lost).toEqual([[chunk, 1_000]]);
    expect(chunk.isLost).toBe(true);
    expect([keeper.all, clock.timers]).toEqual([[], 0]);
  });

  test('tells nothing of a chunk whose end is being told: who tells it is told', async () => {
    const { clock, keeper, lost } = keeperOf();
    const watched = new WatchedQueue();
    watched.isHeld = false;
    const chunk = leasedChunk(watched.queue, 1);
    chunk.isEnding = true;
    keeper.add(chunk);
    await clock.turn(LEASE_MS);
    expect(lost).toEqual([]);
  });

  test('leaves no timer when it is stopped, though the store does not answer', async () => {
    const { clock, keeper } = keeperOf();
    const watched = new WatchedQueue();
    watched.isAway = true;
    keeper.add(leasedChunk(watched.queue, 1));
    await clock.turn(1_500);
    keeper.stop();
    await clock.turn(LEASE_MS);
    expect([keeper.all, clock.timers]).toEqual([[], 0]);
  });
});
