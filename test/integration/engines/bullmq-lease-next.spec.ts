import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ChunkQueue } from '../../../src/engines/durable/chunk-queue.js';
import type { TypeState } from '../../../src/engines/durable/type-state.js';
import { createRedisNamespace } from '../../support/redis.js';
import { chunk, closeAtEnd, held, openStore, Told } from './stores.js';

let url: string;
beforeEach(async () => {
  const namespace = await createRedisNamespace();
  closeAtEnd(() => namespace.close());
  ({ url } = namespace);
});

async function openQueue(): Promise<ChunkQueue> {
  const store = await openStore({ url });
  return store.queue('mail', 'normal', new Told());
}

async function openSteered(): Promise<[ChunkQueue, TypeState]> {
  const store = await openStore({ url });
  const state = store.state('mail', { lanes: [], partitions: ['normal'] });
  return [store.queue('mail', 'normal', new Told(), true), state];
}

describe('the end of a chunk, and the lease of the next one, in one call', () => {
  test('gives the next chunk, with all that a lease has, and it can be ended by its own lease', async () => {
    const queue = await openQueue();
    await queue.add([chunk('a'), chunk('b', { text: '{"b":["ü"]}' }), chunk('c')]);
    const first = held(await queue.lease(false));
    const completed = await queue.completeAndLease(first);
    expect(completed).toMatchObject({ isHeld: true, next: { chunkId: 'b', number: 1, lapses: 0 } });
    if (!completed.isHeld) throw new Error('expected the lease to be held');
    const second = held(completed.next);
    expect(second.content).toEqual({ b: ['ü'] });
    expect(await queue.counts()).toEqual({ waiting: 1, delayed: 0, active: 1 });
    expect(await queue.renew([second])).toEqual([]);
    expect(await queue.renew([first])).toEqual(['a']);
    expect(await queue.complete(second)).toBe(true);
    expect(await queue.complete(second)).toBe(false);
  });

  test('gives nothing when there is nothing, and a chunk that comes later is leased as ever', async () => {
    const queue = await openQueue();
    await queue.add([chunk('a'), chunk('later', { dueAtMs: Date.now() + 600_000 })]);
    expect(await queue.completeAndLease(held(await queue.lease(false)))).toEqual({
      isHeld: true,
      next: undefined,
    });
    const waiting = queue.lease(true);
    await queue.add([chunk('b')]);
    expect(held(await waiting).chunkId).toBe('b');
  });

  test('gives nothing while the queue is paused', async () => {
    const [queue, state] = await openSteered();
    await queue.add([chunk('a'), chunk('b')]);
    const lease = held(await queue.lease(false));
    await state.addPauseReason('requested');
    expect(await queue.completeAndLease(lease)).toEqual({ isHeld: true, next: undefined });
    await state.removePauseReason('requested');
    expect(held(await queue.lease(false)).chunkId).toBe('b');
  });

  test('gives one chunk after another where one may be leased at a time', async () => {
    const [queue, state] = await openSteered();
    await state.markOrdered();
    await queue.add([chunk('a'), chunk('b'), chunk('c')]);
    const first = held(await queue.lease(false));
    expect(await queue.lease(false)).toBeUndefined();
    const completed = await queue.completeAndLease(first);
    expect(completed).toMatchObject({ next: { chunkId: 'b' } });
    expect(await queue.lease(false)).toBeUndefined();
  });

  test('gives nothing to who has lost the lease', async () => {
    const queue = await openQueue();
    await queue.add([chunk('a'), chunk('b')]);
    const lease = held(await queue.lease(false));
    expect(await queue.complete(lease)).toBe(true);
    expect(await queue.completeAndLease(lease)).toEqual({ isHeld: false });
    expect(await queue.counts()).toEqual({ waiting: 1, delayed: 0, active: 0 });
  });
});
