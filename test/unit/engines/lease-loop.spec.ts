import { describe, expect, test } from '@jest/globals';
import { promiseWithResolve } from '../../../src/core/promise-with-resolve.js';
import type { ChunkQueue, Lease } from '../../../src/engines/durable/chunk-queue.js';
import { LeaseLoop } from '../../../src/engines/durable/lease-loop.js';
import type { TypeQueue } from '../../../src/engines/durable/type-queues.js';
import { ManualClock } from '../../support/manual-clock.js';

type Answer = Lease | undefined | Error;

/** A queue that answers when it is told to. */
class AskedQueue {
  readonly asks: { readonly waits: boolean; readonly answer: (answer: Answer) => void }[] = [];

  readonly source: TypeQueue;

  constructor(lane = 1) {
    const queue = {
      lease: (waits: boolean) => {
        const { promise, resolve } = promiseWithResolve<Answer>();
        this.asks.push({ waits, answer: resolve });
        return promise.then((answer) => {
          if (answer instanceof Error) throw answer;
          return answer;
        });
      },
      stopWaiting: () => {
        for (const { answer } of this.asks.splice(0)) answer(undefined);
        return Promise.resolve();
      },
    };
    this.source = { name: 'items', queue: queue as unknown as ChunkQueue, lane, isOrdered: false };
  }

  /** Answers the oldest question. */
  async answer(answer: Answer): Promise<void> {
    this.asks.shift()!.answer(answer);
    await settle();
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

const CHUNK_ITEMS = 100;
const lease = (chunkId: string) => ({ chunkId }) as Lease;

function loopOf(queues: AskedQueue[], wanted: number) {
  const clock = new ManualClock();
  const taken: string[] = [];
  const troubles: unknown[] = [];
  const state = { wanted, taken, troubles, clock };
  const loop = new LeaseLoop(
    queues.map(({ source }) => source),
    {
      clock,
      wanted: () => state.wanted,
      take: (_, { chunkId }) => {
        taken.push(chunkId);
        state.wanted -= CHUNK_ITEMS;
        return CHUNK_ITEMS;
      },
      troubled: (error) => troubles.push(error),
    },
  );
  return { loop, state };
}

describe('a lease loop', () => {
  test('asks for as many chunks at once as are wanted, and for no more than sixteen', async () => {
    const queue = new AskedQueue();
    const { loop } = loopOf([queue], 1_000_000);
    loop.start();
    expect(queue.asks).toHaveLength(16);
    await loop.stop();
  });

  test('asks for the next one as soon as one is there, and for none when enough is held', async () => {
    const queue = new AskedQueue();
    const { loop, state } = loopOf([queue], 2);
    loop.start();
    expect(queue.asks).toHaveLength(2);
    await queue.answer(lease('a'));
    expect(state.taken).toEqual(['a']);
    expect(queue.asks).toHaveLength(1);
    await queue.answer(lease('b'));
    expect(queue.asks).toHaveLength(0);
    state.wanted = 1;
    loop.wake();
    expect(queue.asks).toHaveLength(1);
    await loop.stop();
  });

  test('waits for something to come in a queue that is empty, by one call', async () => {
    const queue = new AskedQueue();
    const { loop, state } = loopOf([queue], 2);
    loop.start();
    await queue.answer(undefined);
    await queue.answer(undefined);
    expect(queue.asks.map(({ waits }) => waits)).toEqual([true]);
    loop.wake();
    expect(queue.asks).toHaveLength(1);
    await queue.answer(lease('came'));
    expect(state.taken).toEqual(['came']);
    await loop.stop();
  });

  test('rests after an error, and tells of it', async () => {
    const queue = new AskedQueue();
    const { loop, state } = loopOf([queue], 1);
    loop.start();
    await queue.answer(new Error('away'));
    expect(state.troubles).toEqual([new Error('away')]);
    expect(queue.asks).toHaveLength(0);
    await state.clock.turn(499);
    expect(queue.asks).toHaveLength(0);
    await state.clock.turn(1);
    expect(queue.asks).toHaveLength(1);
    await loop.stop();
    expect(state.clock.timers).toBe(0);
  });

  test('stops while it rests, without a timer', async () => {
    const queue = new AskedQueue();
    const { loop, state } = loopOf([queue], 1);
    loop.start();
    await queue.answer(new Error('away'));
    await loop.stop();
    expect(state.clock.timers).toBe(0);
    loop.wake();
    expect(queue.asks).toHaveLength(0);
  });
});

describe('the next chunk, leased with the end of another one,', () => {
  test('counts among those that have been asked for', async () => {
    const queue = new AskedQueue();
    const { loop, state } = loopOf([queue], 0);
    loop.start();
    state.wanted = 1;
    expect(loop.claim(queue.source)).toBe(true);
    loop.wake();
    expect(queue.asks).toHaveLength(0);
    loop.claimed(queue.source, lease('next'));
    expect(state.taken).toEqual(['next']);
    await loop.stop();
  });

  test('is not claimed when nothing is wanted, when the queue is empty, or after the stop', async () => {
    const queue = new AskedQueue();
    const { loop, state } = loopOf([queue], 0);
    loop.start();
    expect(loop.claim(queue.source)).toBe(false);
    state.wanted = 1;
    expect(loop.claim(queue.source)).toBe(true);
    loop.claimed(queue.source, 'nothing');
    expect(queue.asks.map(({ waits }) => waits)).toEqual([true]);
    expect(loop.claim(queue.source)).toBe(false);
    await loop.stop();
    expect(loop.claim(queue.source)).toBe(false);
  });

  test('is asked for by itself when it was not claimed in the end', async () => {
    const queue = new AskedQueue();
    const { loop, state } = loopOf([queue], 0);
    loop.start();
    state.wanted = 1;
    loop.claim(queue.source);
    loop.claimed(queue.source, 'not-asked');
    expect(queue.asks.map(({ waits }) => waits)).toEqual([false]);
    await loop.stop();
  });

  test('keeps the shares of the lanes: another lane is asked when it is its turn', async () => {
    const high = new AskedQueue(0);
    const low = new AskedQueue(2);
    const { loop, state } = loopOf([high, low], 0);
    loop.start();
    state.wanted = Infinity;
    const ofHigh: boolean[] = [];
    for (let time = 0; time < 17; time++) {
      ofHigh.push(loop.claim(high.source));
      if (ofHigh.at(-1)) loop.claimed(high.source, lease(`high-${time}`));
      // Only claims are looked at: what the loop asks by itself is answered.
      while (high.asks.length > 0) high.asks.shift()!.answer(undefined);
      state.wanted = Infinity;
    }
    expect(low.asks.length).toBeGreaterThan(0);
    await loop.stop();
  });
});
