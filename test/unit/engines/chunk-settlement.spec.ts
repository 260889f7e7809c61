import { describe, expect, test } from '@jest/globals';
import { ChunkSettlement } from '../../../src/engines/durable/chunk-settlement.js';
import type { DeadInChunk, LeasedChunk } from '../../../src/engines/durable/leased-chunk.js';
import { ManualClock, settle } from '../../support/manual-clock.js';
import { bury, ids, leasedChunk, limits, WatchedQueue } from './chunk-writes.js';

function settlementOf() {
  const clock = new ManualClock();
  const buried: DeadInChunk[] = [];
  const ended: LeasedChunk[] = [];
  const lost: LeasedChunk[] = [];
  const settlement = new ChunkSettlement({
    clock,
    limits,
    ids,
    records: { raise: () => Promise.resolve() } as never,
    bury: (dead) => {
      buried.push(...dead);
      return Promise.resolve(() => undefined);
    },
    chunkEnded: (chunk) => ended.push(chunk),
    leaseLost: (chunk) => lost.push(chunk),
    claimsNext: () => false,
    nextLeased: () => undefined,
    recordsRaised: () => undefined,
    troubled: () => undefined,
  });
  return { clock, settlement, buried, ended, lost };
}

describe('the settlement of a chunk', () => {
  test('stores and buries nothing when its lease is lost', async () => {
    const { clock, settlement, buried, ended, lost } = settlementOf();
    const watched = new WatchedQueue();
    watched.isHeld = false;
    const chunk = leasedChunk(watched.queue, 3);
    chunk.completed(0, 1);
    bury(chunk, 1);
    chunk.leave(2, 1, 1_000);
    settlement.settle(chunk);
    await clock.turn(50);
    expect([watched.told, watched.added, buried]).toEqual([['renew'], [], []]);
    expect([ended, lost]).toEqual([[chunk], [chunk]]);
  });

  test('prolongs the lease, stores what is to do, buries, and only then completes', async () => {
    const { clock, settlement, buried } = settlementOf();
    const watched = new WatchedQueue();
    const chunk = leasedChunk(watched.queue, 3);
    chunk.completed(0, 1);
    bury(chunk, 1);
    chunk.leave(2, 1, 1_000);
    settlement.settle(chunk);
    await settle();
    // It waits for others with failed items.
    expect(watched.told).toEqual([]);
    await clock.turn(50);
    expect(watched.told).toEqual(['renew', 'add', 'complete']);
    expect(buried).toHaveLength(1);
    expect(clock.timers).toBe(0);
  });

  test('of a part notes the places that are settled, once what became of them is stored', async () => {
    const { settlement } = settlementOf();
    const watched = new WatchedQueue();
    const chunk = leasedChunk(watched.queue, 3);
    chunk.completed(0, 1);
    chunk.leave(2, 1, 1_000);
    settlement.settlePart(chunk);
    await settle();
    const settled = Buffer.from([0b1010_0000]).toString('base64');
    expect(watched.told).toEqual(['renew', 'add', ['note', { settled }]]);
    // Whoever leases it next knows that.
    const next = leasedChunk(watched.queue, 3, { lease: { number: 2, noted: { settled } } });
    expect([0, 1, 2].map((place) => next.isSettled(place))).toEqual([true, false, true]);
    expect([...next.openRanges(0, 3)]).toEqual([[1, 2]]);
  });

  test('has a chunk that is lost with items that still run end when they have', async () => {
    const { settlement, ended, lost } = settlementOf();
    const watched = new WatchedQueue();
    const settled: LeasedChunk[] = [];
    const chunk = leasedChunk(watched.queue, 2, { onSettled: (one) => settled.push(one) });
    chunk.completed(0, 1);
    watched.isHeld = false;
    settlement.settlePart(chunk);
    await settle();
    // Its places are taken as long as a worker has something of it.
    expect([lost, ended, settled]).toEqual([[chunk], [], []]);
    chunk.completed(1, 1);
    expect(settled).toEqual([chunk]);
  });

  test('does not wait for others once it is to finish', async () => {
    const { settlement } = settlementOf();
    const watched = new WatchedQueue();
    const [before, after] = [leasedChunk(watched.queue, 2), leasedChunk(watched.queue, 2)];
    for (const chunk of [before, after]) chunk.completed(0, 1);
    before.leave(1, 1, 1_000);
    settlement.settle(before);
    const finished = settlement.finish();
    after.leave(1, 1, 1_000);
    settlement.settle(after);
    // Nobody turns the clock.
    await finished;
    expect(watched.told.filter((one) => one === 'complete')).toHaveLength(2);
  });

  test('ends without having been written down when it is given up, and leaves no timer', async () => {
    const { clock, settlement, ended } = settlementOf();
    const watched = new WatchedQueue();
    watched.isAway = true;
    const chunk = leasedChunk(watched.queue, 1);
    chunk.leave(0, 1, 1_000);
    settlement.settle(chunk);
    const finished = settlement.finish();
    await clock.turn(5_000);
    settlement.giveUp();
    await finished;
    expect(ended).toEqual([chunk]);
    expect(clock.timers).toBe(0);
  });
});

describe('a chunk that goes back', () => {
  test('notes nothing when nothing has become of it, and a suspect that it has not died', async () => {
    const { settlement } = settlementOf();
    const watched = new WatchedQueue();
    settlement.handBack(leasedChunk(watched.queue, 1));
    await settle();
    expect(watched.told.splice(0)).toEqual(['renew', 'giveBack']);
    const suspect = leasedChunk(watched.queue, 1, {
      lease: { number: 4, noted: { deaths: 1, attempts: 2, startedUnder: 3 } },
    });
    settlement.handBack(suspect);
    await settle();
    expect(watched.told).toEqual(['renew', ['note', { deaths: 2, attempts: 2 }], 'giveBack']);
  });

  test('notes its attempts, and is not leased before it is due unless others must not overtake it', async () => {
    const { clock, settlement } = settlementOf();
    const watched = new WatchedQueue();
    const dueAtMs = clock.wallNow() + 1_000;
    const unique = leasedChunk(watched.queue, 1, { heads: { 0: { u: 1 } } });
    const ordered = leasedChunk(watched.queue, 1, { isOrdered: true });
    for (const chunk of [unique, ordered]) {
      chunk.leave(0, 2, 1_000);
      void settlement.finish();
      settlement.settle(chunk);
      await settle();
    }
    expect(watched.told).toEqual([
      'renew',
      ['note', { deaths: 0, attempts: 2 }],
      ['postpone', dueAtMs],
      'renew',
      ['note', { deaths: 0, attempts: 2, dueAtMs }],
      'giveBack',
    ]);
  });

  test('is given back again when the store did not answer, without being noted once more', async () => {
    const { clock, settlement, ended } = settlementOf();
    const watched = new WatchedQueue();
    watched.silences = 1;
    const chunk = leasedChunk(watched.queue, 1, { lease: { noted: { attempts: 1 } } });
    settlement.handBack(chunk);
    await clock.turn(500);
    expect(watched.told).toEqual(['renew', ['note', { deaths: 0, attempts: 1 }], 'giveBack']);
    expect(ended).toEqual([chunk]);
  });
});
