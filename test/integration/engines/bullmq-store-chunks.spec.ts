import { beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import type { ChunkQueue } from '../../../src/engines/durable/chunk-queue.js';
import type { TypeState } from '../../../src/engines/durable/type-state.js';
import type { RedisStoreOptionsInput } from '../../../src/engines/bullmq/redis-store-options.js';
import { createRedisNamespace } from '../../support/redis.js';
import { until } from '../../support/until.js';
import { chunk, closeAtEnd, held, openStore, Told } from './stores.js';

/** Short, so that tests see leases run out; longer than what a busy machine takes between two calls. */
const SHORT = { leaseMs: 300, lapseCheckMs: 150 };

let url: string;
beforeEach(async () => {
  const namespace = await createRedisNamespace();
  closeAtEnd(() => namespace.close());
  ({ url } = namespace);
});

/** The same queue as two processes see it. */
async function twoViews(options: RedisStoreOptionsInput = {}): Promise<[ChunkQueue, ChunkQueue, Told, Told]> {
  const told = new Told();
  const otherTold = new Told();
  const one = await openStore({ url, ...options });
  const other = await openStore({ url, ...options });
  return [one.queue('mail', 'normal', told), other.queue('mail', 'normal', otherTold), told, otherTold];
}

/** The same partition as two processes see it, and what steers it. */
async function twoSteered(): Promise<[ChunkQueue, ChunkQueue, TypeState]> {
  const one = await openStore({ url });
  const other = await openStore({ url });
  const state = other.state('mail', { lanes: ['lane'], partitions: ['normal'] });
  const queues = [one, other].map((store) => store.queue('mail', 'normal', new Told(), true));
  return [queues[0]!, queues[1]!, state];
}

async function oneView(options: RedisStoreOptionsInput = {}): Promise<[ChunkQueue, Told]> {
  const told = new Told();
  const store = await openStore({ url, ...options });
  return [store.queue('mail', 'normal', told), told];
}

async function redis<T>(question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { lazyConnect: true });
  await client.connect();
  try {
    return await question(client);
  } finally {
    await client.quit();
  }
}

async function ageOf(key: (keys: string[]) => string | undefined): Promise<number> {
  return redis(async (client) => client.pttl(key(await client.keys('*'))!));
}

describe('chunks of the Redis store', () => {
  test('come out first in, first out, parsed, as any process stored them', async () => {
    const [one, other] = await twoViews();
    expect(await one.add([chunk('a'), chunk('b', { text: '{"ключ":["\\u0000",1.5,null]}' })])).toEqual([
      'a',
      'b',
    ]);
    expect(await other.add([chunk('c')])).toEqual(['c']);
    const leases = [
      held(await other.lease(false)),
      held(await one.lease(false)),
      held(await one.lease(false)),
    ];
    expect(leases).toMatchObject([
      { chunkId: 'a', number: 1, lapses: 0, content: { v: 1, of: 'a' } },
      { chunkId: 'b', content: { ключ: ['\u0000', 1.5, null] } },
      { chunkId: 'c' },
    ]);
    expect(leases[0]!.noted).toBeUndefined();
    expect(await one.lease(false)).toBeUndefined();
  });

  test('come out before those that wait when they go first', async () => {
    const [queue] = await oneView();
    await queue.add([chunk('waits')]);
    await queue.add([chunk('first', { goesFirst: true })]);
    expect(held(await queue.lease(false)).chunkId).toBe('first');
    expect(held(await queue.lease(false)).chunkId).toBe('waits');
  });

  test('lie in Redis as the text that they were given as', async () => {
    const [queue] = await oneView();
    await queue.add([chunk('a', { text: '{"a":  "as it stands"}' })]);
    const texts = await redis(async (client) => {
      const keys = await client.keys('*:a');
      return Promise.all(keys.map((key) => client.hget(key, 'data')));
    });
    expect(texts).toEqual(['{"a":  "as it stands"}']);
    expect(await queue.read('a')).toEqual({ a: 'as it stands' });
    expect(await queue.read('b')).toBeUndefined();
  });

  test('are there once, however often they are stored', async () => {
    const [one, other] = await twoViews();
    await one.add([chunk('a'), chunk('b')]);
    expect(await other.add([chunk('b'), chunk('a'), chunk('c')])).toEqual(['b', 'a', 'c']);
    const lease = held(await one.lease(false));
    expect(await one.add([chunk('a', { dueAtMs: Date.now() + 60_000 })])).toEqual(['a']);
    expect(await one.counts()).toEqual({ waiting: 2, delayed: 0, active: 1 });
    expect(await one.complete(lease)).toBe(true);
    expect(await one.counts()).toEqual({ waiting: 2, delayed: 0, active: 0 });
  });

  test('fail as a whole when one of them is refused, and may then be stored again', async () => {
    const [queue] = await oneView();
    const chunks = [chunk('a'), chunk('b'), chunk('c')];
    // Something of another kind where a chunk has to lie.
    await redis((client) => client.rpush('{test:mail}:normal:b', 'x'));
    await expect(queue.add(chunks)).rejects.toThrow('WRONGTYPE');
    await redis((client) => client.del('{test:mail}:normal:b'));
    expect(await queue.add(chunks)).toEqual(['a', 'b', 'c']);
    expect(await queue.counts()).toEqual({ waiting: 3, delayed: 0, active: 0 });
  });

  test('end when they are completed, and leave nothing behind', async () => {
    const [queue] = await oneView();
    await queue.add([chunk('a', { key: { id: 'k', heldForMs: undefined } })]);
    expect(await queue.complete(held(await queue.lease(false)))).toBe(true);
    expect(await queue.counts()).toEqual({ waiting: 0, delayed: 0, active: 0 });
    expect(await redis((client) => client.keys('*:a*'))).toEqual([]);
    expect(await redis((client) => client.keys('*key:k*'))).toEqual([]);
  });

  test('keep of their events a bounded number', async () => {
    const [queue] = await oneView();
    for (let round = 0; round < 10; round++) {
      await queue.add(Array.from({ length: 100 }, (_, place) => chunk(`c${round}-${place}`)));
      for (let place = 0; place < 100; place++) await queue.complete(held(await queue.lease(false)));
    }
    expect(await redis((client) => client.xlen('{test:mail}:normal:events'))).toBeLessThan(1_000);
  });

  test('are given back to be leased next, also by others', async () => {
    const [one, other] = await twoViews();
    await one.add([chunk('a'), chunk('b')]);
    const lease = held(await one.lease(false));
    expect(await one.giveBack(lease)).toBe(true);
    expect(held(await other.lease(false))).toMatchObject({ chunkId: 'a', number: 2, lapses: 0 });
  });

  test('are postponed to a moment, and keep their notes', async () => {
    const [queue] = await oneView();
    await queue.add([chunk('a')]);
    const lease = held(await queue.lease(false));
    await queue.note(lease, { attempts: 2, deaths: 1 });
    await queue.note(lease, { attempts: 3 });
    const dueAtMs = Date.now() + 400;
    expect(await queue.postpone(lease, dueAtMs)).toBe(true);
    expect(await queue.lease(false)).toBeUndefined();
    expect(await queue.counts()).toEqual({ waiting: 0, delayed: 1, active: 0 });
    const again = held(await queue.lease(true));
    expect(Date.now()).toBeGreaterThanOrEqual(dueAtMs - 1);
    expect(again).toMatchObject({ chunkId: 'a', number: 2, noted: { attempts: 3 } });
  });

  test('are not leased before they are due', async () => {
    const [queue] = await oneView();
    const dueAtMs = Date.now() + 400;
    await queue.add([chunk('late', { dueAtMs }), chunk('past', { dueAtMs: 5 }), chunk('now')]);
    expect(held(await queue.lease(false)).chunkId).toBe('past');
    expect(held(await queue.lease(false)).chunkId).toBe('now');
    expect(await queue.lease(false)).toBeUndefined();
    expect(held(await queue.lease(true)).chunkId).toBe('late');
    expect(Date.now()).toBeGreaterThanOrEqual(dueAtMs - 1);
  });

  test('that are retries are made due at once, others not', async () => {
    const [queue] = await oneView();
    const dueAtMs = Date.now() + 60_000;
    await queue.add([
      chunk('a', { dueAtMs, isRetry: true }),
      chunk('b', { dueAtMs }),
      chunk('c', { dueAtMs, isRetry: true }),
    ]);
    expect([...(await queue.releaseRetries())].toSorted()).toEqual(['a', 'c']);
    expect(await queue.releaseRetries()).toEqual([]);
    expect(await queue.counts()).toEqual({ waiting: 2, delayed: 1, active: 0 });
  });

  test('are told of by their ids, and since when the first has been there', async () => {
    const [queue] = await oneView();
    expect(await queue.ids('waiting', 5)).toEqual({ ids: [], oldestAtMs: undefined });
    const before = Date.now();
    await queue.add([chunk('a'), chunk('b'), chunk('c'), chunk('d')]);
    await queue.add([
      chunk('e', { dueAtMs: Date.now() + 60_000 }),
      chunk('f', { dueAtMs: Date.now() + 50_000 }),
    ]);
    const after = Date.now();
    await queue.lease(false);
    await queue.lease(false);
    const { ids, oldestAtMs } = await queue.ids('waiting', 10);
    expect(ids).toEqual(['c', 'd']);
    expect(oldestAtMs).toBeGreaterThanOrEqual(before);
    expect(oldestAtMs).toBeLessThanOrEqual(after);
    expect((await queue.ids('waiting', 1)).ids).toEqual(['c']);
    expect((await queue.ids('waiting', 0)).ids).toEqual([]);
    expect((await queue.ids('active', 10)).ids).toEqual(['a', 'b']);
    expect((await queue.ids('delayed', 10)).ids).toEqual(['f', 'e']);
    expect((await queue.ids('delayed', 10)).oldestAtMs).toBeGreaterThanOrEqual(before);
  });
});

describe('leases of the Redis store', () => {
  test('wait until a chunk comes, all that wait at once', async () => {
    const [one, other] = await twoViews();
    const waiting = [one.lease(true), one.lease(true), one.lease(true)];
    await other.add([chunk('a')]);
    const first = held(await Promise.race(waiting));
    expect(first.chunkId).toBe('a');
    await other.add([chunk('b'), chunk('c')]);
    const leases = await Promise.all(waiting);
    expect(leases.map((lease) => held(lease).chunkId).toSorted()).toEqual(['a', 'b', 'c']);
  });

  test('are of one process each', async () => {
    const [one, other] = await twoViews();
    await one.add(Array.from({ length: 40 }, (_, place) => chunk(`c${place}`)));
    const leases = await Promise.all(
      Array.from({ length: 50 }, (_, place) => (place % 2 === 0 ? one : other).lease(false)),
    );
    const ids = leases.flatMap((lease) => (lease === undefined ? [] : [lease.chunkId]));
    expect(new Set(ids).size).toBe(40);
    expect(ids).toHaveLength(40);
  });

  test('that wait return when they are told to, and lose nothing that comes then', async () => {
    const [one, other] = await twoViews();
    const waiting = [one.lease(true), one.lease(true)];
    await until(
      () => redis((client) => client.client('LIST') as Promise<string>),
      (list) => list.includes('cmd=bzpopmin'),
      5_000,
    );
    await one.stopWaiting();
    expect(await Promise.all(waiting)).toEqual([undefined, undefined]);
    await other.add([chunk('a')]);
    expect(held(await other.lease(true))).toMatchObject({ chunkId: 'a', lapses: 0 });
  });

  test('run out, are told of, and are leased by others', async () => {
    const [one, other, , otherTold] = await twoViews(SHORT);
    await one.add([chunk('a'), chunk('b')]);
    const lost = [held(await one.lease(false)), held(await one.lease(false))];
    await one.note(lost[0]!, { startedUnder: 1 });
    other.watchLapses();
    await otherTold.until(({ lapses }) => lapses === 2);
    const again = [held(await other.lease(false)), held(await other.lease(false))];
    const [a, b] = again.toSorted((x, y) => x.chunkId.localeCompare(y.chunkId));
    expect(a).toMatchObject({ chunkId: 'a', number: 2, lapses: 1, noted: { startedUnder: 1 } });
    expect(b).toMatchObject({ chunkId: 'b', number: 2, lapses: 1 });

    // A process that wakes late is refused, whoever has the lease now.
    expect(await one.renew(lost)).toEqual(['a', 'b']);
    expect(await one.complete(lost[0]!)).toBe(false);
    expect(await one.giveBack(lost[0]!)).toBe(false);
    expect(await one.postpone(lost[0]!, Date.now() + 1_000)).toBe(false);
    expect(await other.complete(a!)).toBe(true);
    expect(await one.complete(lost[0]!)).toBe(false);
    expect(await one.giveBack(lost[0]!)).toBe(false);
    expect(await one.postpone(lost[0]!, Date.now() + 1_000)).toBe(false);
    await one.note(lost[0]!, { attempts: 9 });
    expect(await redis((client) => client.keys('*:a'))).toEqual([]);
  });

  test('are refused as soon as they have run out, whether or not anybody has looked', async () => {
    const [queue] = await oneView({ leaseMs: 50 });
    await queue.add([chunk('a')]);
    const lease = held(await queue.lease(false));
    await until(
      () => redis((client) => client.exists('{test:mail}:normal:a:lock')),
      (exists) => exists === 0,
      5_000,
    );
    expect(await queue.renew([lease])).toEqual(['a']);
    expect(await queue.complete(lease)).toBe(false);
  });

  test('hold as long as they are prolonged', async () => {
    const [one, other, told, otherTold] = await twoViews(SHORT);
    await one.add([chunk('a'), chunk('b')]);
    const lease = held(await one.lease(false));
    const given = held(await one.lease(false));
    other.watchLapses();
    one.watchLapses();
    const renewing = setInterval(() => void one.renew([lease]), SHORT.leaseMs / 6);
    // The other one's lapse says that there was time for this one to lapse, too.
    await Promise.any([told, otherTold].map((each) => each.until(({ lapses }) => lapses > 0)));
    clearInterval(renewing);
    expect(await one.renew([lease, given])).toEqual(['b']);
    expect(await one.complete(lease)).toBe(true);
    expect(await one.renew([])).toEqual([]);
  });

  test('lapse as often as it takes', async () => {
    const [queue, told] = await oneView({ leaseMs: 100, lapseCheckMs: 100 });
    queue.watchLapses();
    await queue.add([chunk('poison')]);
    for (let lapses = 0; lapses < 4; lapses++) {
      expect(held(await queue.lease(true))).toMatchObject({ number: lapses + 1, lapses });
      await told.until((all) => all.lapses === lapses + 1);
    }
  });

  test('are as many at a time as they may be, over all processes, and the next is given at once', async () => {
    const [one, other, state] = await twoSteered();
    await state.markOrdered();
    await one.add([chunk('a'), chunk('b'), chunk('c')]);
    const first = held(await one.lease(false));
    expect(await other.lease(false)).toBeUndefined();
    expect(await one.lease(false)).toBeUndefined();
    const began = Date.now();
    const waiting = other.lease(true);
    await until(
      () => redis((client) => client.client('LIST') as Promise<string>),
      (list) => list.includes('cmd=bzpopmin'),
      5_000,
    );
    await one.complete(first);
    const second = held(await waiting);
    expect(second.chunkId).toBe('b');
    // Without being woken, it would wait for five seconds.
    expect(Date.now() - began).toBeLessThan(4_000);
    expect(await one.lease(false)).toBeUndefined();
    await other.postpone(second, Date.now() + 60_000);
    expect(held(await one.lease(false)).chunkId).toBe('c');
  });

  test('are not given while the queue is paused, and come when it goes on', async () => {
    const [one, other, state] = await twoSteered();
    await state.addPauseReason('requested');
    await one.add([chunk('a')]);
    expect(await other.lease(false)).toBeUndefined();
    const waiting = other.lease(true);
    expect(await other.counts()).toEqual({ waiting: 1, delayed: 0, active: 0 });
    await state.removePauseReason('requested');
    expect((await waiting) ?? (await other.lease(true))).toMatchObject({ chunkId: 'a' });
  });

  test.each([0, 500])(
    'come in time to who waits when a pause ends, due %d ms after they were stored',
    async (dueInMs) => {
      const [one, other, state] = await twoSteered();
      await one.add([chunk('a', { dueAtMs: dueInMs === 0 ? 0 : Date.now() + dueInMs })]);
      await state.addPauseReason('requested');
      const began = Date.now();
      const waiting = other.lease(true);
      await until(
        () => redis((client) => client.client('LIST') as Promise<string>),
        (list) => list.includes('cmd=bzpopmin'),
        5_000,
      );
      await state.removePauseReason('requested');
      expect(held(await waiting).chunkId).toBe('a');
      // Without being woken, it would wait for five seconds.
      expect(Date.now() - began).toBeLessThan(4_000);
    },
  );

  test('are paused and limited as all processes know, whatever the queue itself has been told', async () => {
    const [, other, state] = await twoSteered();
    const meta = '{test:mail}:normal:meta';
    await state.markOrdered();
    await redis((client) => client.hset(meta, 'paused', 1));
    await redis((client) => client.hdel(meta, 'concurrency'));
    await state.beat('me');
    expect(await redis((client) => client.hmget(meta, 'paused', 'concurrency'))).toEqual([null, '1']);
    expect(await redis((client) => client.hget('{test:mail}:lane:meta', 'concurrency'))).toBeNull();
    await state.addPauseReason('requested');
    await redis((client) => client.hdel(meta, 'paused'));
    await state.beat('me');
    expect(await redis((client) => client.hget(meta, 'paused'))).toBe('1');
    await other.add([chunk('a')]);
    expect(await other.lease(false)).toBeUndefined();
  });

  test('are given to nobody any more when the queue is closed', async () => {
    const [one, other] = await twoViews();
    const waiting = one.lease(true);
    await one.close();
    expect(await waiting).toBeUndefined();
    await other.add([chunk('a')]);
    expect(await one.lease(false)).toBeUndefined();
    expect(held(await other.lease(false)).chunkId).toBe('a');
  });
});

const key = (id: string, heldForMs?: number) => ({ key: { id, heldForMs } });

describe('keys of the Redis store', () => {
  test('are held until the chunk is completed, whatever happens to it before', async () => {
    const [queue, told] = await oneView({ leaseMs: 150, lapseCheckMs: 100 });
    await queue.add([chunk('a', key('k')), chunk('other', key('k:2'))]);
    const tryAgain = async () => (await queue.add([chunk('b', key('k'))]))[0];
    expect(await tryAgain()).toBe('a');
    await queue.postpone(held(await queue.lease(false)), Date.now() + 100);
    expect(await tryAgain()).toBe('a');
    await queue.complete(held(await queue.lease(false)));
    const lease = held(await queue.lease(true));
    expect(await tryAgain()).toBe('a');
    await queue.giveBack(lease);
    expect(await tryAgain()).toBe('a');
    await queue.lease(false);
    queue.watchLapses();
    await told.until(({ lapses }) => lapses === 1);
    expect(await tryAgain()).toBe('a');
    expect(await queue.complete(held(await queue.lease(false)))).toBe(true);
    expect(await tryAgain()).toBe('b');
  });

  test('with a time are held exactly so long, also past the completion', async () => {
    const [queue] = await oneView();
    await queue.add([chunk('a', key('k', 60_000))]);
    await queue.complete(held(await queue.lease(false)));
    expect(await queue.add([chunk('b', key('k', 60_000)), chunk('a', key('k', 60_000))])).toEqual(['a', 'a']);
    expect(await queue.counts()).toEqual({ waiting: 0, delayed: 0, active: 0 });
    const leftMs = await ageOf((keys) => keys.find((name) => name.includes('key:k')));
    expect(leftMs).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(60_000);

    await queue.add([chunk('c', key('short', 200))]);
    const lease = held(await queue.lease(false));
    const [id] = await until(
      () => queue.add([chunk('d', key('short', 200))]),
      (answer) => answer[0] === 'd',
      5_000,
    );
    expect(id).toBe('d');
    expect(await queue.complete(lease)).toBe(true);
    // The end of the former holder takes no key away from the next.
    expect(await queue.add([chunk('e', key('short', 200))])).toEqual(['d']);
  });

  test('are of one worker type and one call each', async () => {
    const store = await openStore({ url });
    const mail = store.queue('mail', 'normal', new Told());
    const sms = store.queue('sms', 'normal', new Told());
    expect(await mail.add([chunk('a', key('')), chunk('b', key('')), chunk('c', key('{x}'))])).toEqual([
      'a',
      'a',
      'c',
    ]);
    expect(await sms.add([chunk('d', key(''))])).toEqual(['d']);
  });
});

describe('worker types of the Redis store', () => {
  test('may have any name, and share nothing but a prefix', async () => {
    const types = [
      'a',
      'a:b',
      'a{b}',
      '}{',
      'ключ 1',
      '\ud83d\ude00',
      '%003a',
      '\ud800',
      '\ud801',
      '@',
      '__proto__',
    ];
    const store = await openStore({ url, prefix: 'p:q' });
    for (const [place, type] of types.entries()) {
      await store.queue(type, 'high', new Told()).add([chunk(`chunk-${place}`)]);
      await store.state(type).markOrdered();
    }
    for (const [place, type] of types.entries()) {
      const lease = held(await store.queue(type, 'high', new Told()).lease(false));
      expect(lease.chunkId).toBe(`chunk-${place}`);
      expect(await store.queue(type, 'high', new Told()).lease(false)).toBeUndefined();
      expect(await store.queue(type, 'low', new Told()).lease(false)).toBeUndefined();
    }
    const keys = await redis((client) => client.keys('*'));
    const strays = keys.filter((name) => !/^\{p:q:[^{}:]+\}:/.test(name) && !name.includes('test-claim'));
    expect(strays).toEqual([]);
  });
});
