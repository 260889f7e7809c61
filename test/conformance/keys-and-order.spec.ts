import { describe, expect, it } from '@jest/globals';
import { InvalidOptionsError, UnrecoverableError, type ItemContext } from '../../src/index.js';
import { deferred } from '../support/deferred.js';
import { until } from '../support/until.js';
import { engines, processesOn, progressOf } from './engines.js';
import { Seen } from './seen.js';

interface Keyed {
  readonly key: string;
  readonly number: number;
}

describe.each(engines)('unique keys on $name', (engine) => {
  const processes = processesOn(engine);

  it('take in the first of several items, and count the others', async () => {
    const process = processes.start();
    const seen = new Seen<string>();
    process.register('type', { processItem: ({ key, number }: Keyed) => seen.add(`${key}${number}`) });
    await process.pause('type');
    const payloads = [0, 1, 2].flatMap((number) => ['a', 'b'].map((key): Keyed => ({ key, number })));
    const uniqueKey = ({ key }: Keyed) => key;
    const first = await process.distributeWork<Keyed>('type', payloads, { uniqueKey });
    const second = await process.distributeWork<Keyed>(
      'type',
      { key: 'a', number: 3 },
      { uniqueKey, track: true },
    );
    const third = await process.distributeWork<Keyed>(
      'type',
      { key: 'c', number: 4 },
      { uniqueKey: 'c', track: true },
    );
    expect(await process.depth('type')).toMatchObject({ waiting: { items: 3 } });
    await process.resume('type');
    expect(await first.completed).toMatchObject({
      status: 'completed',
      accepted: 2,
      total: 2,
      done: 2,
      duplicates: 4,
    });
    expect(await second.completed).toMatchObject({ status: 'completed', total: 0, done: 0, duplicates: 1 });
    expect(await third.completed).toMatchObject({ total: 1, done: 1, duplicates: 0 });
    await process.waitForCompletion();
    expect(seen.all.toSorted()).toEqual(['a0', 'b0', 'c4']);
  });

  it('take in the first of the items of a stream', async () => {
    const process = processes.start();
    const seen = new Seen<string>();
    process.register('type', { processItem: (payload: string) => seen.add(payload) });
    await process.pause('type');
    const job = await process.distributeWork<string>('type', new Set(['a1', 'b1', 'a2', 'b2', 'c1']), {
      uniqueKey: (payload: string) => payload.slice(0, 1),
    });
    // An item that has ended while the stream is read would free its key.
    await until(
      () => progressOf(process, job),
      ({ total }) => total !== undefined,
      10_000,
    );
    await process.resume('type');
    await seen.reach(3);
    await process.waitForCompletion();
    expect(await job.completed).toMatchObject({ total: 3, done: 3, duplicates: 2 });
    expect(seen.all.toSorted()).toEqual(['a1', 'b1', 'c1']);
  });

  it('are held while their item runs and is retried, and free when it has ended', async () => {
    const process = processes.start();
    const gate = deferred();
    const seen = new Seen<string>();
    process.register('type', {
      processItem: async (payload: string, { attempt }: ItemContext) => {
        seen.add(`${payload} ${attempt}`);
        if (payload !== 'first') return;
        if (attempt === 1) throw new Error('again');
        await gate.promise;
      },
    });
    const submit = (payload: string) =>
      process.distributeWork('type', payload, { uniqueKey: 'key', track: true });
    const first = await submit('first');
    await seen.reach(2);
    const duplicate = await submit('duplicate');
    expect(await duplicate.completed).toMatchObject({ total: 0, duplicates: 1 });
    gate.resolve();
    expect(await first.completed).toMatchObject({ done: 1 });
    await process.waitForCompletion();
    const later = await submit('later');
    expect(await later.completed).toMatchObject({ total: 1, done: 1, duplicates: 0 });
    expect(seen.all).toEqual(['first 1', 'first 2', 'later 1']);
  });

  it('are held while their item awaits a retry', async () => {
    const process = processes.start({ retry: { limit: 1, backoffMs: 60_000 } });
    const seen = new Seen<string>();
    process.register('type', {
      processItem: (payload: string, { attempt }: ItemContext) => {
        seen.add(payload);
        if (attempt === 1) throw new Error('again');
      },
    });
    const first = await process.distributeWork('type', 'first', { uniqueKey: 'key', track: true });
    await seen.reach(1);
    const duplicate = await process.distributeWork('type', 'duplicate', { uniqueKey: 'key', track: true });
    expect(await duplicate.completed).toMatchObject({ total: 0, duplicates: 1 });
    while ((await process.retryFailedItems('type')) === 0);
    expect(await first.completed).toMatchObject({ done: 1 });
  });

  it('are free when their item is dead', async () => {
    const process = processes.start();
    const seen = new Seen<string>();
    process.register('type', {
      processItem: (payload: string) => {
        seen.add(payload);
        if (payload === 'bad') throw new UnrecoverableError('bad');
      },
    });
    const bad = await process.distributeWork('type', 'bad', { uniqueKey: 'key', track: true });
    expect(await bad.completed).toMatchObject({ failed: 1 });
    await process.waitForCompletion();
    const next = await process.distributeWork('type', 'good', { uniqueKey: 'key', track: true });
    expect(await next.completed).toMatchObject({ done: 1, duplicates: 0 });
    expect(await process.deadLetters()).toHaveLength(1);
  });

  it('are free when their item was cancelled', async () => {
    const process = processes.start();
    process.register('type', { processItem: () => undefined });
    await process.pause('type');
    const dropped = await process.distributeWork('type', 'a', { uniqueKey: 'key', track: true });
    await dropped.cancel();
    await process.resume('type');
    expect(await dropped.completed).toMatchObject({ status: 'cancelled' });
    await process.waitForCompletion();
    const next = await process.distributeWork('type', 'b', { uniqueKey: 'key', track: true });
    expect(await next.completed).toMatchObject({ status: 'completed', done: 1, duplicates: 0 });
  });

  it('are held for uniqueForMs, whatever becomes of the item', async () => {
    const process = processes.start();
    process.register('type', { processItem: () => undefined });
    const submit = () =>
      process.distributeWork('type', 'a', { uniqueKey: 'key', uniqueForMs: 400, track: true });
    const startMs = Date.now();
    const first = await submit();
    expect(await first.completed).toMatchObject({ done: 1 });
    await process.waitForCompletion();
    let duplicates = 0;
    for (;;) {
      const job = await submit();
      const result = await job.completed;
      if (result.duplicates === 0) break;
      duplicates++;
    }
    const freeAfterMs = Date.now() - startMs;
    expect(duplicates).toBeGreaterThan(0);
    expect(freeAfterMs).toBeGreaterThanOrEqual(399);
    expect(freeAfterMs).toBeLessThan(5_000);
  });

  it('are held per worker type', async () => {
    const process = processes.start();
    process.register('one', { processItem: () => undefined });
    process.register('other', { processItem: () => undefined });
    await Promise.all([process.pause('one'), process.pause('other')]);
    const jobs = [
      await process.distributeWork('one', 1, { uniqueKey: 'key', track: true }),
      await process.distributeWork('other', 1, { uniqueKey: 'key', track: true }),
    ];
    await Promise.all([process.resume('one'), process.resume('other')]);
    for (const job of jobs) expect(await job.completed).toMatchObject({ done: 1, duplicates: 0 });
  });

  it('have to be texts, and a function for several items', async () => {
    const process = processes.start();
    process.register('type', { processItem: () => undefined });
    await expect(process.distributeWork('type', [1, 2], { uniqueKey: 'same' })).rejects.toThrow(
      InvalidOptionsError,
    );
    await expect(process.distributeWork('type', [1], { uniqueKey: () => '' })).rejects.toThrow(
      InvalidOptionsError,
    );
    await expect(process.distributeWork('type', 1, { uniqueForMs: 1_000 })).rejects.toThrow(
      InvalidOptionsError,
    );
    expect(await process.depth('type')).toMatchObject({ waiting: { items: 0 } });
  });
});

describe.each(engines)('order keys on $name', (engine) => {
  const processes = processesOn(engine);
  const KEYS = ['a', 'b', 'c', 'd', 'e'];

  /** Items of all keys, their numbers rising. */
  function ofAllKeys(count: number): Keyed[] {
    return Array.from({ length: count }, (_, number) => KEYS.map((key) => ({ key, number }))).flat();
  }

  it('start items of one key in the order of submission, one at a time', async () => {
    const process = processes.start({ maxConcurrency: 8, scalingThreshold: 1 });
    const running = new Map<string, number>();
    const startedOf = new Map<string, number[]>(KEYS.map((key) => [key, []]));
    let most = 0;
    process.register('type', {
      processItem: async ({ key, number }: Keyed) => {
        running.set(key, (running.get(key) ?? 0) + 1);
        most = Math.max(most, running.get(key)!);
        startedOf.get(key)!.push(number);
        await new Promise((resolve) => setImmediate(resolve));
        running.set(key, running.get(key)! - 1);
      },
    });
    const orderKey = ({ key }: Keyed) => key;
    const payloads = ofAllKeys(20);
    const first = await process.distributeWork<Keyed>('type', payloads.slice(0, 50), { orderKey });
    const second = await process.distributeWork<Keyed>('type', new Set(payloads.slice(50)), { orderKey });
    await process.waitForCompletion();
    expect(await first.completed).toMatchObject({ done: 50 });
    expect(await second.completed).toMatchObject({ done: 50 });
    expect(most).toBe(1);
    const inOrder = Array.from({ length: 20 }, (_, number) => number);
    for (const key of KEYS) expect([key, startedOf.get(key)]).toEqual([key, inOrder]);
  });

  it('let the next item start only when the one before has ended, retries included', async () => {
    const process = processes.start({ maxConcurrency: 8, scalingThreshold: 1 });
    const attempts: string[] = [];
    process.register('type', {
      processItem: (payload: string, { attempt }: ItemContext) => {
        attempts.push(`${payload} ${attempt}`);
        if (payload === 'one' && attempt < 3) throw new Error('again');
      },
    });
    const job = await process.distributeWork('type', ['one', 'two', 'three'], { orderKey: 'key' });
    expect(await job.completed).toMatchObject({ done: 3 });
    expect(attempts).toEqual(['one 1', 'one 2', 'one 3', 'two 1', 'three 1']);
  });

  it('go on when an item is dead', async () => {
    const process = processes.start({ retry: { limit: 1, backoffMs: 10 } });
    const attempts: string[] = [];
    process.register('type', {
      processItem: (payload: string, { attempt }: ItemContext) => {
        attempts.push(`${payload} ${attempt}`);
        if (payload === 'bad') throw new Error('bad');
      },
    });
    const job = await process.distributeWork('type', ['bad', 'good'], { orderKey: 'key' });
    expect(await job.completed).toMatchObject({ done: 1, failed: 1 });
    expect(attempts).toEqual(['bad 1', 'bad 2', 'good 1']);
    expect(await process.deadLetters()).toHaveLength(1);
  });

  it('go on when a job is cancelled', async () => {
    const process = processes.start();
    const seen = new Seen<string>();
    process.register('type', { processItem: (payload: string) => seen.add(payload) });
    await process.pause('type');
    const dropped = await process.distributeWork('type', ['dropped', 'dropped'], { orderKey: 'key' });
    const kept = await process.distributeWork('type', ['kept'], { orderKey: 'key' });
    await dropped.cancel();
    await process.resume('type');
    expect(await kept.completed).toMatchObject({ done: 1 });
    expect(await dropped.completed).toMatchObject({ status: 'cancelled', cancelled: 2 });
    expect(seen.all).toEqual(['kept']);
  });

  it('do not hold other keys up', async () => {
    const process = processes.start({ maxConcurrency: 4, scalingThreshold: 1 });
    const gate = deferred();
    const seen = new Seen<string>();
    process.register('type', {
      processItem: async (payload: string) => {
        seen.add(payload);
        if (payload === 'slow') await gate.promise;
      },
    });
    const slow = await process.distributeWork('type', ['slow', 'after'], { orderKey: 'slow' });
    const free = await process.distributeWork('type', ['x', 'y']);
    await seen.until((all) => ['slow', 'x', 'y'].every((payload) => all.includes(payload)));
    expect(await free.completed).toMatchObject({ done: 2 });
    expect(seen.all).not.toContain('after');
    gate.resolve();
    expect(await slow.completed).toMatchObject({ done: 2 });
  });

  it('count single items without a job too', async () => {
    const process = processes.start({ maxConcurrency: 4, scalingThreshold: 1 });
    const seen = new Seen<number>();
    process.register('type', { processItem: (payload: number) => seen.add(payload) });
    for (let number = 0; number < 20; number++)
      await process.distributeWork('type', number, { orderKey: 'key' });
    expect(await seen.reach(20)).toEqual(Array.from({ length: 20 }, (_, number) => number));
    await process.waitForCompletion();
  });

  it('go together with unique keys', async () => {
    const process = processes.start();
    const seen = new Seen<string>();
    process.register('type', { processItem: (payload: string) => seen.add(payload) });
    await process.pause('type');
    const job = await process.distributeWork('type', ['a', 'b', 'a', 'c'], {
      orderKey: 'key',
      uniqueKey: (payload: string) => payload,
    });
    await process.resume('type');
    expect(await job.completed).toMatchObject({ done: 3, duplicates: 1 });
    expect(seen.all).toEqual(['a', 'b', 'c']);
  });
});
