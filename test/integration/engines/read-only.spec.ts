import { describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { redisEngine } from '../../../src/bullmq.js';
import { WorkerProcess } from '../../../src/index.js';
import type { RedisStore } from '../../../src/engines/bullmq/redis-store.js';
import { StoreUnavailableError } from '../../../src/engines/bullmq/store-errors.js';
import { until } from '../../support/until.js';
import { Seen } from '../../conformance/seen.js';
import { RedisProcess } from './redis-process.js';
import { chunk, closeAtEnd, openStore, Told } from './stores.js';

const LIMIT_MS = 10_000;

/** One that is to be ended while it writes its first append-only file stays. */
async function startRedis(settings: readonly string[] = []): Promise<RedisProcess> {
  const redis = await RedisProcess.start(['--appendonly', 'no', ...settings]);
  closeAtEnd(() => redis.close());
  return redis;
}

async function startReplica(): Promise<RedisProcess> {
  // Without the time in which it waits for further replicas.
  const primary = await startRedis(['--repl-diskless-sync-delay', '0']);
  const replica = await startRedis(['--replicaof', '127.0.0.1', String(primary.port)]);
  const info = await until(
    () => replica.ask((client) => client.info('replication')),
    (text) => text.includes('master_link_status:up'),
    LIMIT_MS,
  );
  expect(info).toContain('master_link_status:up');
  return replica;
}

const makePrimary = (replica: RedisProcess) => replica.ask((client) => client.replicaof('NO', 'ONE'));

/** Asks until the server itself has refused: while the client connects anew, it is not asked. */
async function refusal(store: RedisStore): Promise<void> {
  const answer = await until(
    () =>
      store
        .state('mail')
        .addPauseReason('requested')
        .catch((error: unknown) => error),
    (error) => String(error).includes('READONLY'),
    LIMIT_MS,
  );
  expect(answer).toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.stringContaining('READONLY') });
}

async function connectionsOf(client: Redis): Promise<number> {
  return Number(/total_connections_received:(\d+)/.exec(await client.info('stats'))![1]);
}

describe('a Redis that is a replica', () => {
  test('is among the risks', async () => {
    const replica = await startReplica();
    const store = await openStore({ url: replica.url });
    const risk = expect.stringMatching(/is a replica.*primary/);
    expect(await store.findRisks()).toContainEqual(risk);
    await makePrimary(replica);
    expect(await store.findRisks()).not.toContainEqual(risk);
  });

  test('refuses what is to be stored, and is not connected to again and again', async () => {
    const replica = await startReplica();
    const warnings: Error[] = [];
    const warn = (warning: Error) => void warnings.push(warning);
    process.on('warning', warn);
    const store = await openStore({ url: replica.url, whenDown: 'fail' });
    const admin = new Redis(replica.url);
    const before = await connectionsOf(admin);
    // Those of a moment, and those that come one after another.
    await Promise.all(Array.from({ length: 20 }, () => refusal(store)));
    for (let times = 0; times < 20; times++) await refusal(store);
    expect((await connectionsOf(admin)) - before).toBeLessThanOrEqual(2);
    await admin.quit();
    process.off('warning', warn);
    expect(warnings).toEqual([]);
  });

  test('is told, and work goes on by itself once it is a primary', async () => {
    const replica = await startReplica();
    const worker = new WorkerProcess({
      engine: redisEngine({ url: replica.url, whenDown: 'wait' }),
      shutdownTimeoutMs: 100,
    });
    closeAtEnd(() => worker.shutdown());
    const troubles = new Seen<Error>();
    worker.on('engineTroubled', ({ error }) => troubles.add(error));
    const ran = new Seen<number>();
    worker.register('type', { processItem: (payload: number) => ran.add(payload) });
    await worker.start();
    const submitting = [1, 2].map((payload) => worker.distributeWork('type', payload));
    const [trouble] = await troubles.reach(1);
    expect(trouble).toBeInstanceOf(StoreUnavailableError);
    expect(trouble!.message).toContain('READONLY');
    await makePrimary(replica);
    await Promise.all(submitting);
    expect(new Set(await ran.reach(2))).toEqual(new Set([1, 2]));
  });

  test('does not hold up the end of a store', async () => {
    const replica = await startReplica();
    const store = await openStore({ url: replica.url, whenDown: 'wait' });
    const adding = store.queue('mail', 'normal', new Told()).add([chunk('a')]);
    const error = adding.catch((thrown: unknown) => thrown);
    await store.close();
    expect(await error).toBeInstanceOf(StoreUnavailableError);
  });
});

describe('a Redis that becomes a replica', () => {
  test('is connected to anew, as its name may stand for the new primary', async () => {
    const redis = await startRedis();
    const primary = await startRedis();
    const store = await openStore({ url: redis.url, whenDown: 'fail' });
    const queue = store.queue('mail', 'normal', new Told());
    await queue.add([chunk('a')]);
    const admin = new Redis(redis.url);
    const before = await connectionsOf(admin);
    await admin.replicaof('127.0.0.1', primary.port);
    await expect(queue.add([chunk('b')])).rejects.toThrow('READONLY');
    const after = await until(
      () => connectionsOf(admin),
      (count) => count > before,
      LIMIT_MS,
    );
    expect(after).toBe(before + 1);
    await admin.quit();
  });
});
