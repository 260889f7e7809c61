import { beforeEach, describe, expect, test } from '@jest/globals';
import {
  array,
  assert,
  asyncProperty,
  constant,
  constantFrom,
  integer,
  nat,
  oneof,
  record as objectOf,
} from 'fast-check';
import { Redis } from 'ioredis';
import type { EndedItems } from '../../../src/engines/durable/job-records.js';
import type { StoredLetter } from '../../../src/engines/durable/letter-shelf.js';
import { createRedisNamespace } from '../../support/redis.js';
import { until } from '../../support/until.js';
import { closeAtEnd, openStore } from './stores.js';

let url: string;
beforeEach(async () => {
  const namespace = await createRedisNamespace();
  closeAtEnd(() => namespace.close());
  ({ url } = namespace);
});

async function redis<T>(question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { lazyConnect: true });
  await client.connect();
  try {
    return await question(client);
  } finally {
    await client.quit();
  }
}

/** For how long the keys of a job are kept; Infinity: they don't expire. */
const left = async (id: string) =>
  redis(async (client) => {
    const keys = await client.keys(`*${id}*`);
    const expiries = await Promise.all(keys.map((key) => client.pttl(key)));
    const times = expiries.map((expiry) => (expiry === -1 ? Infinity : expiry));
    // The hash and, once an item has ended, the bits.
    return { keys: keys.length, most: Math.max(...times), least: Math.min(...times) };
  });

const letter = (index: number, parts: Partial<StoredLetter> = {}): StoredLetter => ({
  id: `job:${index}`,
  jobId: 'job',
  index,
  payload: { to: 'ключ', at: index },
  reason: 'attempts-exhausted',
  error: { name: 'Error', message: 'no', stack: undefined, code: undefined },
  attempts: 3,
  diedAtMs: 1_000 + index,
  isTracked: true,
  ...parts,
});

/** What runs to its end after all counts as that. */
function moves(from: EndedItems['as'] | undefined, to: EndedItems['as']): boolean {
  return from === undefined || (from === 'dropped' && to !== 'dropped') || (from === 'dead' && to === 'done');
}

describe('job records of the Redis store', () => {
  test('are what all processes know of a job', async () => {
    const one = (await openStore({ url })).records;
    const other = (await openStore({ url })).records;
    await one.create('job 1:{x}', 'mail');
    await one.create('job 1:{x}', 'mail');
    await one.accept('job 1:{x}', 3, 1);
    await other.accept('job 1:{x}', 2, 2);
    expect(await other.read(['none', 'job 1:{x}'])).toEqual([
      undefined,
      {
        id: 'job 1:{x}',
        type: 'mail',
        accepted: 5,
        done: 0,
        dead: 0,
        isSealed: false,
        sourceEnd: undefined,
        isCancelled: false,
        duplicates: 3,
      },
    ]);
    await one.seal('job 1:{x}', { kind: 'failed', message: 'it "broke"' }, { accepted: 5, duplicates: 3 });
    await other.seal('job 1:{x}', { kind: 'reached' }, { accepted: 9, duplicates: 9 });
    await one.raise([
      { jobId: 'job 1:{x}', index: 0, count: 3, as: 'done' },
      { jobId: 'job 1:{x}', index: 4, count: 1, as: 'dead' },
    ]);
    expect(await other.read(['job 1:{x}'])).toMatchObject([
      { done: 3, dead: 1, isSealed: true, sourceEnd: { kind: 'failed', message: 'it "broke"' } },
    ]);
    expect(await one.read([])).toEqual([]);
  });

  test('count what is told twice once, whatever is told in whatever order', async () => {
    const { records } = await openStore({ url });
    const range = objectOf({
      index: nat({ max: 70 }),
      count: integer({ min: 0, max: 40 }),
      as: constantFrom('done' as const, 'dead' as const, 'dropped' as const),
    });
    const step = oneof(
      objectOf({ kind: constant('raise' as const), ranges: array(range, { maxLength: 4 }) }),
      objectOf({
        kind: constant('reopen' as const),
        indices: array(nat({ max: 110 }), { maxLength: 9 }),
      }),
    );
    let jobs = 0;
    await assert(
      asyncProperty(array(step, { maxLength: 12 }), async (steps) => {
        const jobId = `job-${jobs++}`;
        const states = new Map<number, EndedItems['as']>();
        await records.create(jobId, 'mail');
        for (const each of steps) {
          if (each.kind === 'raise') {
            await records.raise(each.ranges.map((part) => ({ jobId, ...part })));
            for (const { index, count, as } of each.ranges) {
              for (let at = index; at < index + count; at++) {
                if (moves(states.get(at), as)) states.set(at, as);
              }
            }
          } else {
            await records.reopen(jobId, each.indices);
            for (const at of each.indices) if (states.get(at) === 'dead') states.delete(at);
          }
        }
        const values = [...states.values()];
        expect(await records.read([jobId])).toMatchObject([
          {
            done: values.filter((value) => value === 'done').length,
            dead: values.filter((value) => value === 'dead').length,
          },
        ]);
        const dropped = await redis((client) => client.hget(`{test:@job:${jobId}}:@record`, 'dropped'));
        expect(Number(dropped)).toBe(values.filter((value) => value === 'dropped').length);
      }),
      { numRuns: 60 },
    );
  });

  test('are raised for several jobs in one call', async () => {
    const { records } = await openStore({ url });
    const ids = Array.from({ length: 20 }, (_, place) => `job-${place}`);
    await Promise.all(ids.map((id) => records.create(id, 'mail')));
    const ended: EndedItems[] = ids.map((jobId, place) => ({
      jobId,
      index: 1_000,
      count: place + 1,
      as: 'done',
    }));
    await records.raise([...ended, ...ended, { jobId: 'none', index: 0, count: 5, as: 'done' }]);
    await records.raise([]);
    expect((await records.read(ids)).map((record) => record?.done)).toEqual(ids.map((_, place) => place + 1));
    expect(await records.read(['none'])).toEqual([undefined]);
    expect(await redis((client) => client.keys('*none*'))).toEqual([]);
  });

  test('are cancelled once, and only while they go on', async () => {
    const one = (await openStore({ url })).records;
    const other = (await openStore({ url })).records;
    for (const id of ['open', 'ended', 'sealed']) {
      await one.create(id, 'mail');
      await one.accept(id, 2, 0);
    }
    await one.seal('sealed', { kind: 'reached' }, { accepted: 2, duplicates: 0 });
    await one.seal('ended', { kind: 'reached' }, { accepted: 2, duplicates: 0 });
    await one.raise([{ jobId: 'ended', index: 0, count: 2, as: 'done' }]);
    expect(await other.cancel('none')).toBe(false);
    expect(await other.cancel('ended')).toBe(false);
    expect(await other.cancel('sealed')).toBe(true);
    expect(await other.cancel('open')).toBe(true);
    expect(await one.cancel('open')).toBe(false);
    expect(await one.cancelled(['open', 'none', 'ended', 'sealed'])).toEqual(new Set(['open', 'sealed']));
    expect(await one.cancelled([])).toEqual(new Set());
    expect(await one.read(['open', 'ended'])).toMatchObject([{ isCancelled: true }, { isCancelled: false }]);
  });

  test('expire after their last change, sooner when their job has ended', async () => {
    const { records } = await openStore({ url, recordTtlMs: 100_000, endedRecordTtlMs: 10_000 });
    await records.create('job', 'mail');
    await records.accept('job', 2, 0);
    await records.raise([{ jobId: 'job', index: 0, count: 1, as: 'done' }]);
    await records.seal('job', { kind: 'reached' }, { accepted: 2, duplicates: 0 });
    const open = await left('job');
    expect(open.keys).toBe(2);
    expect(open.least).toBeGreaterThan(10_000);
    await records.raise([{ jobId: 'job', index: 1, count: 1, as: 'dead' }]);
    expect((await left('job')).most).toBeLessThanOrEqual(10_000);
    await records.reopen('job', [1]);
    expect((await left('job')).least).toBeGreaterThan(10_000);
    await records.cancel('job');
    // Its item waits: whoever leases it has to find that the job is cancelled.
    expect((await left('job')).least).toBeGreaterThan(10_000);
    await records.raise([{ jobId: 'job', index: 1, count: 1, as: 'dropped' }]);
    expect((await left('job')).most).toBeLessThanOrEqual(10_000);
  });

  test('do not expire while an item waits, of a cancelled job either', async () => {
    const { records } = await openStore({ url, recordTtlMs: 100_000, endedRecordTtlMs: 10_000 });
    await records.create('job', 'mail');
    await records.accept('job', 1, 0);
    await records.accept('job', 1, 0);
    await records.raise([{ jobId: 'job', index: 1, count: 1, as: 'done' }]);
    await records.cancel('job');
    expect((await left('job')).least).toBeGreaterThan(1_000_000);
    await records.raise([{ jobId: 'job', index: 0, count: 1, as: 'dropped' }]);
    expect((await left('job')).most).toBeLessThanOrEqual(10_000);
  });

  test('are gone when they have expired, and nothing brings them back', async () => {
    const { records } = await openStore({ url, recordTtlMs: 1 });
    await records.create('job', 'mail');
    await until(
      () => records.read(['job']),
      ([record]) => record === undefined,
      5_000,
    );
    await records.accept('job', 1, 0);
    await records.raise([{ jobId: 'job', index: 0, count: 1, as: 'done' }]);
    await records.seal('job', { kind: 'reached' }, { accepted: 1, duplicates: 0 });
    await records.reopen('job', [0]);
    expect(await records.read(['job'])).toEqual([undefined]);
  });

  test('work after Redis has forgotten all scripts', async () => {
    const { records } = await openStore({ url });
    await records.create('job', 'mail');
    await records.create('job 2', 'mail');
    const ended: EndedItems[] = [
      { jobId: 'job', index: 0, count: 3, as: 'done' },
      { jobId: 'job 2', index: 0, count: 2, as: 'done' },
    ];
    await records.raise(ended);
    await redis((client) => client.script('FLUSH'));
    await records.raise(ended.map((part) => ({ ...part, index: 10 })));
    expect(await records.read(['job', 'job 2'])).toMatchObject([{ done: 6 }, { done: 4 }]);
  });
});

describe('dead letters of the Redis store', () => {
  test('are kept once, in the order in which they came, as they were', async () => {
    const one = (await openStore({ url })).letters('mail');
    const other = (await openStore({ url })).letters('mail');
    const first = letter(7, {
      error: { name: 'TypeError', message: 'x', stack: 'at y', code: 'X' },
      payload: null,
    });
    const added = await one.add([first, letter(3)]);
    expect(added).toMatchObject({ count: 2, shelved: [first, letter(3)] });
    const again = await other.add([letter(3, { attempts: 9 }), letter(5)]);
    expect(again).toMatchObject({ count: 3, shelved: [letter(3), letter(5)] });
    const all = await one.list(0, 10);
    expect(all).toEqual([
      { ...first, sequence: expect.any(Number) },
      { ...letter(3), sequence: expect.any(Number) },
      { ...letter(5), sequence: expect.any(Number) },
    ]);
    expect(added.shelved).toEqual(all.slice(0, 2));
    const sequences = all.map(({ sequence }) => sequence);
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
    expect(sequences[0]).toBeGreaterThan(0);
    expect(await one.count()).toBe(3);
    expect(await one.add([])).toEqual({ shelved: [], count: 3 });
  });

  test('are listed page by page, whatever is removed and added meanwhile', async () => {
    const shelf = (await openStore({ url })).letters('mail');
    await shelf.add(Array.from({ length: 10 }, (_, index) => letter(index)));
    const page = await shelf.list(0, 4);
    expect(page.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    await shelf.remove(await shelf.find(['job:0', 'job:3', 'job:5']));
    await shelf.add([letter(10), letter(0)]);
    const rest = await shelf.list(page.at(-1)!.sequence, 100);
    expect(rest.map(({ index }) => index)).toEqual([4, 6, 7, 8, 9, 10, 0]);
    expect(await shelf.list(rest.at(-1)!.sequence, 100)).toEqual([]);
    expect(await shelf.list(0, 0)).toEqual([]);
  });

  test('have numbers that grow for ever, also when all were removed', async () => {
    const shelf = (await openStore({ url })).letters('mail');
    const [first] = (await shelf.add([letter(1)])).shelved;
    await shelf.remove([first!]);
    const [second] = (await shelf.add([letter(1)])).shelved;
    expect(second!.sequence).toBeGreaterThan(first!.sequence);
  });

  test('are found by their ids', async () => {
    const shelf = (await openStore({ url })).letters('mail');
    await shelf.add([letter(1), letter(2), letter(3)]);
    expect((await shelf.find(['job:3', 'none', 'job:1'])).map(({ id }) => id).toSorted()).toEqual([
      'job:1',
      'job:3',
    ]);
    expect(await shelf.find([])).toEqual([]);
  });

  test('stay when they tell of a later death than the one that was read', async () => {
    const shelf = (await openStore({ url })).letters('mail');
    const [read] = (await shelf.add([letter(1)])).shelved;
    // The same death, told again.
    expect((await shelf.add([letter(1)])).shelved).toEqual([read]);
    const [later] = (await shelf.add([{ ...letter(1), diedAtMs: 99, attempts: 7 }])).shelved;
    expect(later).toMatchObject({ diedAtMs: 99, attempts: 7 });
    expect(later!.sequence).toBeGreaterThan(read!.sequence);
    expect(await shelf.remove([read!])).toEqual([]);
    expect(await shelf.list(0, 10)).toEqual([later]);
    expect(await shelf.remove([later!])).toEqual(['job:1']);
  });

  test('are removed by one of all that try', async () => {
    const one = (await openStore({ url })).letters('mail');
    const other = (await openStore({ url })).letters('mail');
    const ids = Array.from({ length: 700 }, (_, index) => `job:${index}`);
    await one.add(ids.map((_, index) => letter(index)));
    const letters = await one.list(0, 1_000);
    const none = { ...letters[0]!, id: 'none' };
    const removed = await Promise.all([one.remove([...letters, none]), other.remove(letters)]);
    expect(removed.flat().toSorted()).toEqual(ids.toSorted());
    expect(await one.count()).toBe(0);
    expect(await redis((client) => client.keys('*letter*'))).toEqual([]);
    expect(await one.remove([])).toEqual([]);
  });
});

describe('shared state of the Redis store', () => {
  test('knows the processes that live, and what they paused', async () => {
    const one = (await openStore({ url })).state('mail');
    const other = (await openStore({ url })).state('mail');
    expect(await one.beat('a')).toEqual({ replicas: 1, pauseReasons: [], isOrdered: false });
    expect((await other.beat('b')).replicas).toBe(2);
    expect((await other.beat('b')).replicas).toBe(2);
    await other.markOrdered();
    await one.addPauseReason('requested');
    await other.addPauseReason('requested');
    await other.addPauseReason('dead-letters-full');
    const state = await one.beat('a');
    expect([...state.pauseReasons].toSorted()).toEqual(['dead-letters-full', 'requested']);
    expect(state).toMatchObject({ replicas: 2, isOrdered: true });
    await one.removePauseReason('requested');
    expect((await other.beat('b')).pauseReasons).toEqual(['dead-letters-full']);
    await one.removePauseReason('dead-letters-full');
    await other.leave('b');
    expect(await one.beat('a')).toEqual({ replicas: 1, pauseReasons: [], isOrdered: true });
  });

  test('forgets a process that has not told for five seconds by the clock of Redis', async () => {
    const state = (await openStore({ url })).state('mail');
    await state.beat('living');
    const key = '{test:mail}:@replicas';
    await redis(async (client) => {
      const now = Number((await client.time())[0]) * 1_000;
      await client.zadd(key, now - 4_000, 'recent', now - 7_000, 'gone');
    });
    expect((await state.beat('living')).replicas).toBe(2);
    expect(await redis((client) => client.zscore(key, 'gone'))).toBeNull();
    expect(await redis((client) => client.pttl(key))).toBeGreaterThan(0);
  });

  test('gives starts at a rate that all processes share', async () => {
    const one = (await openStore({ url })).state('mail');
    const other = (await openStore({ url })).state('mail');
    // 10 in 100 s, of which two may start at once.
    const reserve = (state: typeof one, count: number) => state.reserveStarts(count, 10, 100_000, 2);
    expect(await reserve(one, 1)).toBe(0);
    expect(await reserve(other, 1)).toBe(0);
    const third = await reserve(one, 1);
    expect(third).toBeGreaterThan(8_000);
    expect(third).toBeLessThanOrEqual(10_000);
    const eighth = await reserve(other, 5);
    expect(eighth).toBeGreaterThan(58_000);
    expect(eighth).toBeLessThanOrEqual(60_000);
    expect(await redis((client) => client.pttl('{test:mail}:@rate'))).toBeLessThanOrEqual(80_002);
  });

  test('gives as many starts in a time as the rate says', async () => {
    const state = (await openStore({ url })).state('mail');
    // 1,000 a second.
    const waits: number[] = [];
    for (let each = 0; each < 50; each++) waits.push(await state.reserveStarts(100, 1_000, 1_000, 100));
    const last = waits.at(-1)!;
    // 5,000 starts less the first 100 take 4.9 s, of which the calls themselves took a part.
    expect(last).toBeLessThanOrEqual(4_900);
    expect(last).toBeGreaterThan(1_000);
  });
});
