import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { setImmediate } from 'node:timers/promises';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Redis } from 'ioredis';
import type { ChunkQueue, Lease } from '../../../src/engines/durable/chunk-queue.js';
import { resolveRedisStoreOptions } from '../../../src/engines/bullmq/redis-store-options.js';
import { StoreUnavailableError, StoreUnreachableError } from '../../../src/engines/bullmq/store-errors.js';
import { freePort } from '../../support/free-port.js';
import { until } from '../../support/until.js';
import { DeafProxy } from './deaf-proxy.js';
import { RedisProcess } from './redis-process.js';
import { chunk, closeAtEnd, held, makeStore, openStore, Told } from './stores.js';

/** BullMQ warns on the console of what `findRisks` tells. */
const warn = jest.spyOn(console, 'warn').mockImplementation(() => {});
afterEach(() => void warn.mockClear());

async function startRedis(settings?: readonly string[]): Promise<RedisProcess> {
  const redis = await RedisProcess.start(settings);
  closeAtEnd(() => redis.close());
  return redis;
}

const waitsForChunks = (redis: RedisProcess) =>
  until(
    () => redis.ask((client) => client.client('LIST') as Promise<string>),
    (list) => list.includes('cmd=bzpopmin'),
    10_000,
  );

const MOST_WAITS = 1_000;

/** As an engine does: it asks again when it has waited in vain. */
async function leaseUntilFound(queue: ChunkQueue): Promise<Lease> {
  for (let times = 0; times < MOST_WAITS; times++) {
    const lease = await queue.lease(true);
    if (lease !== undefined) return lease;
    // A queue that is closed answers at once: the test that failed before has to come to its end.
    await setImmediate();
  }
  throw new Error(`No chunk was leased in ${MOST_WAITS} waits`);
}

describe('a Redis store that starts', () => {
  test('fails after its time when nobody listens, and says where and why, without the password', async () => {
    const port = await freePort();
    const store = makeStore({
      url: `redis://user:se@cret@127.0.0.1:${port}/3?a=secret`,
      connectTimeoutMs: 300,
    });
    const began = performance.now();
    const error = await store.open().catch((thrown: unknown) => thrown);
    expect(performance.now() - began).toBeGreaterThanOrEqual(290);
    expect(error).toBeInstanceOf(StoreUnreachableError);
    expect(error).toMatchObject({ code: 'STORE_UNREACHABLE', connectTimeoutMs: 300 });
    expect((error as Error).message).toMatch(
      new RegExp(
        `^Redis at redis://127\\.0\\.0\\.1:${port}/3 could not be reached .*\\(300\\): .*ECONNREFUSED`,
      ),
    );
    await expect(store.records.read(['x'])).rejects.toThrow(StoreUnreachableError);
  });

  test('fails after its time when somebody listens who does not answer', async () => {
    const server = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closeAtEnd(() => new Promise((resolve) => server.close(resolve)));
    const { port } = server.address() as { port: number };
    const store = makeStore({ connection: { host: '127.0.0.1', port }, connectTimeoutMs: 300 });
    await expect(store.open()).rejects.toThrow(`Redis at 127.0.0.1:${port} could not be reached`);
  });

  test('says that the password is wrong', async () => {
    const redis = await startRedis(['--requirepass', 'right']);
    const store = makeStore({ connection: { port: redis.port, password: 'wrong' }, connectTimeoutMs: 500 });
    const error = (await store.open().catch((thrown: unknown) => thrown)) as Error;
    expect(error).toBeInstanceOf(StoreUnreachableError);
    expect(error.message).toMatch(/WRONGPASS|NOAUTH/);
    expect(error.message).not.toContain('wrong@');
  });

  test('waits within its time for a Redis that comes, and all that is asked waits with it', async () => {
    const redis = await startRedis();
    await redis.kill();
    const store = makeStore({ url: redis.url, connectTimeoutMs: 30_000 });
    const adding = store.queue('mail', 'normal', new Told()).add([chunk('a')]);
    const opening = store.open();
    await redis.startAgain();
    await opening;
    expect(await adding).toEqual(['a']);
  });

  test('can be closed before it is open, and when it never was', async () => {
    const store = makeStore({ url: `redis://127.0.0.1:${await freePort()}` });
    const opening = store.open().catch((error: unknown) => error);
    await store.close();
    expect(await opening).toBeInstanceOf(StoreUnreachableError);
    const never = makeStore({ url: `redis://127.0.0.1:${await freePort()}` });
    await never.close();
    await expect(never.records.read(['x'])).rejects.toThrow(StoreUnavailableError);
  });
});

describe('a Redis store whose server is killed', () => {
  test('gives what was stored to a lease that waited meanwhile, when the server is back', async () => {
    const redis = await startRedis();
    const told = new Told();
    const store = await openStore({ url: redis.url, leaseMs: 30_000 });
    const queue = store.queue('mail', 'normal', told);
    queue.watchLapses();
    const other = (await openStore({ url: redis.url, whenDown: 'wait' })).queue('mail', 'normal', new Told());
    await other.add([chunk('kept', { dueAtMs: Date.now() + 600_000, isRetry: true })]);
    await store.records.create('job', 'mail');
    const found = leaseUntilFound(queue);
    await waitsForChunks(redis);
    await redis.kill();
    await told.until(({ troubles }) => troubles.length > 0);
    expect(told.troubles[0]).toBeInstanceOf(StoreUnavailableError);
    const raising = store.records.raise([{ jobId: 'job', index: 0, count: 4, as: 'done' }]);
    await redis.startAgain();
    await raising;
    expect(await other.releaseRetries()).toEqual(['kept']);
    const lease = await found;
    expect(lease).toMatchObject({ chunkId: 'kept', number: 1 });
    expect(await queue.complete(lease)).toBe(true);
    expect(await store.records.read(['job'])).toMatchObject([{ done: 4 }]);
    // It also waits again, on a connection that has been made anew.
    const next = leaseUntilFound(queue);
    await waitsForChunks(redis);
    await other.add([chunk('later')]);
    expect((await next).chunkId).toBe('later');
  });

  test('gives chunks to a queue that is first asked for them meanwhile', async () => {
    const redis = await startRedis();
    const store = await openStore({ url: redis.url });
    await redis.kill();
    const queue = store.queue('mail', 'normal', new Told());
    queue.watchLapses();
    const found = leaseUntilFound(queue);
    const adding = queue.add([chunk('a', { isRetry: true })]);
    await redis.startAgain();
    await adding;
    const lease = await found;
    expect(lease.chunkId).toBe('a');
    expect(await queue.complete(lease)).toBe(true);
  });

  test('keeps a lease that was given before', async () => {
    const redis = await startRedis();
    const store = await openStore({ url: redis.url, leaseMs: 30_000 });
    const queue = store.queue('mail', 'normal', new Told());
    await queue.add([chunk('a')]);
    const lease = held(await queue.lease(false));
    await redis.kill();
    const renewing = queue.renew([lease]);
    const completing = queue.complete(lease);
    await redis.startAgain();
    expect(await renewing).toEqual([]);
    expect(await completing).toBe(true);
  });

  test('fails what is asked meanwhile at once, and what was under way, when it is to fail', async () => {
    const redis = await startRedis();
    const store = await openStore({ url: redis.url, whenDown: 'fail' });
    const queue = store.queue('mail', 'normal', new Told());
    await queue.add([chunk('a')]);
    // Redis takes the question, and never answers it.
    const pausing = new Redis(redis.url);
    await pausing.call('CLIENT', 'PAUSE', '600000', 'ALL');
    pausing.disconnect();
    const underWay = queue.add([chunk('b')]).catch((error: unknown) => error);
    await redis.stop();
    expect(await underWay).toBeInstanceOf(StoreUnavailableError);
    const asked = [
      queue.add([chunk('c')]),
      queue.counts(),
      store.records.create('job', 'mail'),
      store.letters('mail').count(),
      store.state('mail').addPauseReason('requested'),
    ];
    for (const answer of await Promise.allSettled(asked)) {
      expect(answer).toMatchObject({
        status: 'rejected',
        reason: { code: 'STORE_UNAVAILABLE', address: redis.url },
      });
    }
    await redis.startAgain();
    const [stored] = await until(
      () => queue.add([chunk('b')]).catch(() => ['not yet']),
      ([id]) => id === 'b',
      10_000,
    );
    expect(stored).toBe('b');
    expect((await queue.ids('waiting', 10)).ids.filter((id) => id === 'b')).toHaveLength(1);
  });

  test('lets what is asked wait for it, when it is to wait', async () => {
    const redis = await startRedis();
    const store = await openStore({ url: redis.url, whenDown: 'wait' });
    const queue = store.queue('mail', 'normal', new Told());
    await queue.counts();
    await redis.kill();
    const adding = queue.add([chunk('a')]);
    const creating = store.records.create('job', 'mail');
    await redis.startAgain();
    expect(await adding).toEqual(['a']);
    await creating;
    expect(await queue.counts()).toMatchObject({ waiting: 1 });
  });

  test('stores a retry when the server is back, also when it is to fail', async () => {
    const redis = await startRedis();
    const store = await openStore({ url: redis.url, whenDown: 'fail' });
    const queue = store.queue('mail', 'normal', new Told());
    await queue.counts();
    await redis.kill();
    const adding = queue.add([chunk('a', { isRetry: true })]);
    await redis.startAgain();
    expect(await adding).toEqual(['a']);
  });

  test('is closed without it, and everything that waits ends', async () => {
    const redis = await startRedis();
    const store = await openStore({ url: redis.url, whenDown: 'wait' });
    const told = new Told();
    const queue = store.queue('mail', 'normal', told);
    queue.watchLapses();
    const lease = queue.lease(true);
    const other = queue.lease(true);
    await waitsForChunks(redis);
    await redis.kill();
    await told.until(({ troubles }) => troubles.length > 0);
    const adding = queue.add([chunk('a')]).catch((error: unknown) => error);
    const raising = store.records
      .raise([{ jobId: 'job', index: 0, count: 1, as: 'done' }])
      .catch((error: unknown) => error);
    const began = performance.now();
    await queue.stopWaiting();
    expect(await Promise.all([lease, other])).toEqual([undefined, undefined]);
    const late = queue.lease(true);
    await store.close();
    expect(await late).toBeUndefined();
    expect(await adding).toBeInstanceOf(StoreUnavailableError);
    expect(await raising).toBeInstanceOf(StoreUnavailableError);
    expect(performance.now() - began).toBeLessThan(4_000);
  });
});

/** Has `ask` done by Redis, but not answered before the connection is cut. */
async function withLostAnswer<T>(
  redis: RedisProcess,
  proxy: DeafProxy,
  ask: () => Promise<T>,
  isDone: (client: Redis) => Promise<unknown>,
): Promise<T> {
  proxy.dropAnswers();
  const answer = ask();
  const done = await until(() => redis.ask(isDone), Boolean, 10_000);
  expect(done).toBeTruthy();
  proxy.cut();
  return answer;
}

describe('what a Redis store sends again, as the answer was lost with the connection,', () => {
  test('counts once', async () => {
    const redis = await startRedis();
    const proxy = await DeafProxy.before(redis.port);
    closeAtEnd(() => proxy.close());
    const store = await openStore({ url: `redis://127.0.0.1:${proxy.port}`, whenDown: 'wait' });
    const queue = store.queue('mail', 'normal', new Told());
    await queue.counts();
    const { records } = store;
    await records.create('job', 'mail');
    const record = '{test:@job:job}:@record';

    await withLostAnswer(
      redis,
      proxy,
      () => records.accept('job', 5, 1),
      async (client) => (await client.hget(record, 'accepted')) === '5',
    );
    await records.accept('job', 2, 0);
    expect(await records.read(['job'])).toMatchObject([{ accepted: 7, duplicates: 1 }]);

    await withLostAnswer(
      redis,
      proxy,
      () => records.raise([{ jobId: 'job', index: 1, count: 5, as: 'done' }]),
      async (client) => (await client.hget(record, 'done')) === '5',
    );
    expect(await records.read(['job'])).toMatchObject([{ done: 5 }]);

    const wasCancelled = await withLostAnswer(
      redis,
      proxy,
      () => records.cancel('job'),
      (client) => client.hexists(record, 'cancelled'),
    );
    expect(wasCancelled).toBe(true);

    const ids = await withLostAnswer(
      redis,
      proxy,
      () => queue.add([chunk('a', { key: { id: 'k', heldForMs: undefined } }), chunk('b')]),
      (client) => client.exists('{test:mail}:normal:b'),
    );
    expect(ids).toEqual(['a', 'b']);
    expect(await queue.counts()).toEqual({ waiting: 2, delayed: 0, active: 0 });
  });
});

describe('risks of a Redis', () => {
  test('are none when it keeps everything', async () => {
    const redis = await startRedis(['--appendonly', 'yes', '--maxmemory', '100mb']);
    const store = await openStore({ url: redis.url });
    expect(await store.findRisks()).toEqual([]);
    await redis.ask((client) => client.config('SET', 'appendonly', 'no', 'save', '60 1'));
    expect(await store.findRisks()).toEqual([]);
  });

  test('are that it drops keys, and that it keeps nothing across a restart', async () => {
    const redis = await startRedis(['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru']);
    const store = await openStore({ url: redis.url });
    expect(await store.findRisks()).toEqual([
      expect.stringMatching(/drops keys.*maxmemory is 104857600.*allkeys-lru/),
      expect.stringMatching(/keeps nothing across a restart/),
    ]);
    await redis.ask((client) => client.config('SET', 'maxmemory', '0'));
    expect(await store.findRisks()).toHaveLength(1);
  });

  test('are that they can not be read, where that is forbidden', async () => {
    const redis = await startRedis(['--appendonly', 'yes', '--rename-command', 'CONFIG', '']);
    const store = await openStore({ url: redis.url });
    expect(await store.findRisks()).toEqual([]);
    const closed = await startRedis([
      '--rename-command',
      'CONFIG',
      '',
      '--maxmemory',
      '100mb',
      '--maxmemory-policy',
      'volatile-lru',
    ]);
    const other = await openStore({ url: closed.url });
    expect(await other.findRisks()).toEqual([
      expect.stringMatching(/drops keys.*volatile-lru/),
      expect.stringMatching(/could not be read whether Redis keeps items/),
    ]);
  });

  test('become errors of those who ask when the memory is full', async () => {
    const redis = await startRedis(['--maxmemory', '1']);
    const store = await openStore({ url: redis.url });
    const error = await store.records.create('job', 'mail').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StoreUnavailableError);
    expect((error as Error).message).toContain('OOM');
  });
});

describe('a Redis Cluster', () => {
  test('is worked on like a server: all keys of one step lie together', async () => {
    const redis = await startRedis(['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1']);
    await redis.ask((client) => client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383'));
    await until(
      () => redis.ask((client) => client.cluster('INFO')),
      (info) => info.includes('cluster_state:ok'),
      10_000,
    );
    const options = {
      cluster: { nodes: [{ host: '127.0.0.1', port: redis.port }] },
      prefix: 'app:x',
      leaseMs: 200,
      lapseCheckMs: 100,
    };
    const store = await openStore(options);
    const told = new Told();
    const queue = store.queue('mail:{a}', 'normal', told);
    const waiting = queue.lease(true);
    await queue.add([chunk('a', { key: { id: 'k}{', heldForMs: undefined } }), chunk('b')]);
    const lease = held(await waiting);
    queue.watchLapses();
    await told.until(({ lapses }) => lapses === 1);
    expect(await queue.complete(lease)).toBe(false);
    expect(await queue.complete(held(await queue.lease(false)))).toBe(true);
    const state = store.state('mail:{a}', { lanes: ['normal'], partitions: ['order'] });
    await state.markOrdered();
    await state.addPauseReason('requested');
    expect(await queue.lease(false)).toBeUndefined();
    await state.removePauseReason('requested');
    expect(await queue.counts()).toEqual({ waiting: 1, delayed: 0, active: 0 });
    const ids = ['one', 'two', 'three'];
    await Promise.all(ids.map((id) => store.records.create(id, 'mail')));
    await store.records.raise(ids.map((jobId) => ({ jobId, index: 3, count: 9, as: 'done' })));
    expect(await store.records.read(ids)).toMatchObject([{ done: 9 }, { done: 9 }, { done: 9 }]);
    expect(await store.records.cancelled(ids)).toEqual(new Set());
    expect(await store.state('mail').beat('me')).toMatchObject({ replicas: 1 });
    const letter = {
      id: 'one:3',
      jobId: 'one',
      index: 3,
      payload: 1,
      reason: 'unrecoverable' as const,
      error: { name: 'Error', message: '', stack: undefined, code: undefined },
      attempts: 1,
      diedAtMs: 1,
      isTracked: false,
    };
    const { shelved, count } = await store.letters('mail').add([letter]);
    expect(count).toBe(1);
    expect(await store.letters('mail').remove(shelved)).toEqual(['one:3']);
    expect(await store.findRisks()).toHaveLength(1);
  });
});

describe('options of the Redis store', () => {
  test('are named when they are wrong, all at once', () => {
    const wrong = {
      url: 'http://x',
      connection: { keyPrefix: 'x', maxRetriesPerRequest: 3 },
      cluster: { nodes: [] },
      prefix: 'a{b}',
      connectTimeoutMs: -1,
      leaseMs: 0,
      lapseCheckMs: Number.NaN,
      whenDown: 'maybe',
      recordTtlMs: 'long',
      endedRecordTtlMs: 0,
      other: 1,
    };
    const problems = (() => {
      try {
        resolveRedisStoreOptions(wrong as never);
        return [];
      } catch (error) {
        return (error as { problems: readonly string[] }).problems;
      }
    })();
    for (const name of Object.keys(wrong)) {
      expect(problems.filter((problem) => problem.startsWith(`${name}:`))).not.toEqual([]);
    }
  });

  test.each([
    [{}, /url: expected an address/],
    [undefined, /expected an object/],
    [{ url: 'redis://x', cluster: { nodes: [{ port: 1 }] } }, /url: expected none beside cluster/],
    [{ url: 'redis://x?maxRetriesPerRequest=2' }, /without maxRetriesPerRequest/],
    [
      { cluster: { nodes: [{ port: 1 }], options: { redisOptions: { keyPrefix: 'x' } } } },
      /cluster: .*without keyPrefix/,
    ],
    [{ url: 'redis://x', prefix: '' }, /prefix: /],
  ])('are refused: %j', (options, message) => {
    expect(() => resolveRedisStoreOptions(options as never)).toThrow(message);
  });

  test('have defaults, and reach sentinels', () => {
    expect(
      resolveRedisStoreOptions({ connection: { sentinels: [{ port: 1 }], name: 'main' } }),
    ).toMatchObject({
      prefix: 'worker',
      connectTimeoutMs: 10_000,
      leaseMs: 4_000,
      lapseCheckMs: 4_000,
      whenDown: 'fail',
      recordTtlMs: 604_800_000,
      endedRecordTtlMs: 86_400_000,
    });
  });
});
