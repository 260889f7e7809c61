import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { redisEngine } from '../../../src/bullmq.js';
import type { ItemContext, WorkerProcessOptionsInput } from '../../../src/index.js';
import { RetryLaterError, WorkerProcess } from '../../../src/index.js';
import type { ChunkQueue } from '../../../src/engines/durable/chunk-queue.js';
import { deferred } from '../../support/deferred.js';
import { createRedisNamespace, type RedisNamespace } from '../../support/redis.js';
import { until } from '../../support/until.js';
import { Seen } from '../../conformance/seen.js';
import { DeafProxy } from './deaf-proxy.js';
import { RedisProcess } from './redis-process.js';
import { chunk, closeAtEnd, openStore, Told } from './stores.js';

const LIMIT_MS = 10_000;
const LEASE_MS = 1_000;

let namespace: RedisNamespace;
let prefix: string;
beforeAll(async () => void (namespace = await createRedisNamespace()));
beforeEach(() => void (prefix = `leased-${randomUUID()}`));
afterAll(() => namespace.close());

function start(options: WorkerProcessOptionsInput = {}, url = namespace.url): WorkerProcess {
  const process = new WorkerProcess({
    shutdownTimeoutMs: 300,
    abortGraceMs: 100,
    drainOnShutdown: false,
    engine: redisEngine({ url, prefix, leaseMs: LEASE_MS, lapseCheckMs: 300 }),
    ...options,
  });
  closeAtEnd(() => process.shutdown());
  return process;
}

async function openQueue(): Promise<ChunkQueue> {
  const store = await openStore({ url: namespace.url, prefix });
  return store.queue('type', 'items', new Told());
}

async function redis<T>(ask: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(namespace.url);
  try {
    return await ask(client);
  } finally {
    await client.quit();
  }
}

const orderKey = () => 'key';
/** What the items did: payload and attempt. */
const collecting =
  (seen: Seen<string>) =>
  (item: string, { attempt }: ItemContext) => {
    seen.add(`${item} ${attempt}`);
  };

/** What is kept beside the two chunks with an order key. */
const notes = () =>
  redis(async (client) => {
    const ids = (await client.keys(`*${prefix}:type}:order.*:*.1`)).toSorted();
    return Promise.all(ids.map((id) => client.hget(id, 'progress')));
  });

/** How often the only chunk without an order key has been leased. */
const leasesOfOnlyChunk = () =>
  redis(async (client) => {
    const [id] = await client.keys(`*${prefix}:type}:items:*.1`);
    return id === undefined ? 0 : Number(await client.hget(id, 'ats'));
  });

describe('items that a process has leased', () => {
  test('go back when the store refuses to tell whether they were cancelled, and run once it tells', async () => {
    const producer = start({ autoStart: false });
    producer.register('type', { processItem: () => undefined });
    const job = await producer.distributeWork('type', ['a']);
    const [record] = await redis((client) => client.keys(`*${job.id}*`));
    await redis(async (client) => {
      await client.rename(record!, 'aside');
      await client.set(record!, 'no record');
    });
    const troubled = new Seen<string>();
    const ran = new Seen<string>();
    const process = start();
    process.on('engineTroubled', ({ error }) => troubled.add(error.message));
    process.register('type', { processItem: (item: string) => ran.add(item) });
    expect((await troubled.reach(1))[0]).toContain('WRONGTYPE');
    // It has gone back, and was leased once more.
    expect(await until(leasesOfOnlyChunk, (leases) => leases > 1, LIMIT_MS)).toBeGreaterThan(1);
    await redis((client) => client.rename('aside', record!));
    expect(await job.completed).toMatchObject({ done: 1 });
    expect(ran.all).toEqual(['a']);
  });

  test('are let go of once when their lease is lost after one of their jobs was cancelled', async () => {
    const gate = deferred();
    const ran = new Seen<unknown>();
    const lost = new Seen<number>();
    const process = start({ maxConcurrency: 1 });
    process.on('leaseLost', ({ items }) => lost.add(items));
    process.register('type', {
      processItem: async (item: unknown) => {
        ran.add(item);
        if (item === 'hang') await gate.promise;
      },
    });
    const later = { delayMs: 600_000 };
    const cancelled = await process.distributeWork('type', ['x'], later);
    const kept = await process.distributeWork('type', ['y'], later);
    await cancelled.cancel();
    const queue = await openQueue();
    const of = [
      ['job', cancelled.id, 0, 5],
      ['job', kept.id, 0, 3],
    ];
    const text = JSON.stringify({ v: 1, of, items: [1, 2, 3, 4, 5, 'hang', 7, 8] });
    await queue.add([chunk('a.0.8', { text })]);
    await ran.reach(1);
    await redis(async (client) => {
      const key = `{${prefix}:type}:items`;
      await client.del(`${key}:a.0.8:lock`, `${key}:a.0.8`);
      await client.lrem(`${key}:active`, 0, 'a.0.8');
    });
    expect(await lost.reach(1)).toEqual([8]);
    gate.resolve();
    await process.distributeWork('type', ['next 1', 'next 2']);
    expect(await ran.reach(3)).toEqual(['hang', 'next 1', 'next 2']);
    expect(lost.all).toEqual([8]);
  });

  test('that wait for the rate limit go back as their process ends, and it ends at once', async () => {
    const ran = new Seen<number>();
    const process = start();
    process.register('type', {
      rateLimit: { max: 1, durationMs: 600_000 },
      processItem: (item: number) => ran.add(item),
    });
    await process.distributeWork('type', [1, 2, 3]);
    await ran.reach(1);
    const queue = await openQueue();
    await until(
      () => queue.counts(),
      ({ active }) => active > 0,
      LIMIT_MS,
    );
    const began = performance.now();
    await process.shutdown();
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(await queue.counts()).toMatchObject({ waiting: 2, active: 0 });
    expect(ran.all).toEqual([1]);
  });

  test('keep no timer of their process when it ended without its Redis', async () => {
    const server = await RedisProcess.start(['--appendonly', 'no']);
    closeAtEnd(() => server.close());
    const ran = new Seen<number>();
    const process = start({}, server.url);
    process.register('type', {
      processItem: async (item: number, { signal }: ItemContext) => {
        ran.add(item);
        await new Promise<void>((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason as Error)),
        );
      },
    });
    await process.distributeWork('type', [1, 2, 3]);
    await ran.reach(1);
    await server.kill();
    const troubles = new Seen<unknown>();
    await process.shutdown();
    process.on('engineTroubled', troubles.add);
    // Longer than it waits before it asks again. That no timer is left is looked at after each test.
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(troubles.all).toEqual([]);
  });
});

describe('an item with an order key that waits for its next attempt', () => {
  test('goes back as its process ends, before what comes after it, and runs when it is due', async () => {
    const ran = new Seen<string>();
    const one = start();
    one.register('type', {
      processItem: (item: string, context: ItemContext) => {
        collecting(ran)(item, context);
        throw new RetryLaterError(2_500);
      },
    });
    const began = Date.now();
    await one.distributeWork('type', ['a', 'b'], { orderKey });
    await ran.reach(1);
    await one.shutdown();
    const other = start();
    other.register('type', { processItem: collecting(ran) });
    expect(await ran.reach(3)).toEqual(['a 1', 'a 2', 'b 1']);
    expect(Date.now() - began).toBeGreaterThanOrEqual(2_500);
  });

  test('has its attempts behind it and its time before it when its process dies', async () => {
    const server = new URL(namespace.url);
    const proxy = await DeafProxy.before(Number(server.port));
    const ran = new Seen<string>();
    const dying = start({}, `redis://127.0.0.1:${proxy.port}${server.pathname}`);
    closeAtEnd(() => proxy.close());
    dying.register('type', {
      processItem: (item: string, context: ItemContext) => {
        collecting(ran)(item, context);
        throw new RetryLaterError(3_000);
      },
    });
    const began = Date.now();
    await dying.distributeWork('type', ['a', 'b'], { orderKey });
    await ran.reach(1);
    expect(await until(notes, (all) => all.some((one) => one?.includes('dueAtMs')), LIMIT_MS)).toHaveLength(
      2,
    );
    await proxy.close();
    const other = start();
    other.register('type', { processItem: collecting(ran) });
    expect(await ran.reach(3)).toEqual(['a 1', 'a 2', 'b 1']);
    expect(Date.now() - began).toBeGreaterThanOrEqual(3_000);
  });

  test('runs at once when it is asked for, and is dropped when its job is cancelled', async () => {
    const ran = new Seen<string>();
    const process = start();
    process.register('type', {
      processItem: (item: string, context: ItemContext) => {
        collecting(ran)(item, context);
        if (item !== 'good' && context.attempt === 1) throw new RetryLaterError(600_000);
      },
    });
    const retried = await process.distributeWork('type', ['retried'], { orderKey });
    await ran.reach(1);
    expect(
      await until(
        () => process.retryFailedItems(),
        (count) => count > 0,
        LIMIT_MS,
      ),
    ).toBe(1);
    expect(await retried.completed).toMatchObject({ done: 1 });
    const dropped = await process.distributeWork('type', ['dropped'], { orderKey });
    await ran.reach(3);
    const kept = await process.distributeWork('type', ['good'], { orderKey });
    await dropped.cancel();
    expect(await dropped.completed).toMatchObject({ status: 'cancelled', cancelled: 1 });
    expect(await kept.completed).toMatchObject({ done: 1 });
    expect(ran.all).toEqual(['retried 1', 'retried 2', 'dropped 1', 'good 1']);
  });
});
