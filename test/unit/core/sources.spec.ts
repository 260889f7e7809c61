/* oxlint-disable unicorn/no-thenable -- a forgotten await is what is tested */
import { describe, expect, it, jest } from '@jest/globals';
import type { Job } from '../../../src/core/job.js';
import type { WorkerProcessOptionsInput } from '../../../src/core/options.js';
import { classifySource } from '../../../src/core/sources.js';
import { StreamProducer } from '../../../src/core/stream-producer.js';
import { TimeSlices } from '../../../src/core/time-slices.js';
import type { Workload } from '../../../src/core/workload.js';
import { deferred } from '../../support/deferred.js';
import { makeJob } from '../../support/jobs.js';
import { ManualClock, settle } from '../../support/manual-clock.js';
import { ManualProcess } from '../../support/manual-process.js';

function start(options: WorkerProcessOptionsInput = {}): ManualProcess {
  return new ManualProcess({ timeoutMs: 0, maxConcurrency: 1, ...(options as object) });
}

function kinds(sources: unknown[]): string[] {
  return sources.map((source) => classifySource(source).kind);
}

describe('classifySource', () => {
  it('takes arrays, iterables and async iterables for many items, all else for one', () => {
    expect(kinds([[1], Object.freeze([]), new Proxy([1], {})])).toEqual(['array', 'array', 'array']);
    expect(kinds([new Set(), new Map(), (function* () {})(), (async function* () {})()])).toEqual(
      Array(4).fill('stream'),
    );
    expect(
      kinds([undefined, null, 0, 'text', Symbol('s'), Buffer.from('b'), new Uint8Array(2), {}, () => 0]),
    ).toEqual(Array(9).fill('item'));
  });

  it.each([
    ['a promise', Promise.resolve([1])],
    ['another thenable', { then: () => expect('then').toBe('not called') }],
  ])('refuses %s, which somebody forgot to await', (_, promise: unknown) => {
    expect(() => classifySource(promise)).toThrow(
      'distributeWork(): source: expected an item, an array, an iterable or an async iterable, got a promise; await it first',
    );
  });

  it('reads an array in one go, as far as it can be read', () => {
    const broken = new Proxy([1, 2, 3], {
      get: (target, name) => {
        if (name === '2') throw new Error('trap');
        return Reflect.get(target, name) as unknown;
      },
    });
    const failure = new Error('trap');
    expect(classifySource(broken)).toEqual({ kind: 'array', payloads: [1, 2], failure });
    const payloads = [1, 2, 3];
    expect(classifySource(payloads)).toEqual({ kind: 'array', payloads, failure: undefined });
  });
});

describe('an array', () => {
  it.each([
    ['at once', 100],
    ['while it waits for room', 2],
  ])('of which an item can not be read %s is a source that fails', async (_, maxQueueSize) => {
    const process = start({ maxQueueSize });
    process.register('type', { processItem: () => undefined });
    const payloads = [1, 2, 3, 4];
    Object.defineProperty(payloads, 2, {
      get: () => {
        throw new Error('unreadable');
      },
    });
    const job = await process.distributeWork('type', payloads);
    expect(await job.completed).toMatchObject({
      status: 'source-failed',
      total: 2,
      done: 2,
      error: new Error('unreadable'),
    });
    expect(process.counts()).toMatchObject({ submitted: 2, completed: 2, waiting: 0 });
    expect(await process.findJob(job.id)).toBeUndefined();
    await process.end();
  });

  it('whose getters submit, cancel and shut down mixes nothing up', async () => {
    const process = start({ maxQueueSize: 100 });
    const handled: unknown[] = [];
    process.register('type', { processItem: (payload: unknown) => void handled.push(payload) });
    void process.pause('type');
    const other = await process.distributeWork('type', ['dropped']);
    const payloads: unknown[] = Array.from({ length: 40 }, (_, index) => index);
    const onRead = (place: number, act: () => unknown) =>
      Object.defineProperty(payloads, place, {
        get: () => {
          act();
          return place;
        },
      });
    onRead(0, () => other.cancel());
    onRead(7, () => process.offer('type', 'offered'));
    onRead(20, () => void process.distributeWork('type', ['a', 'b']));
    onRead(39, () => process.offer('type', 'last'));
    const job = await process.distributeWork('type', payloads);
    void process.resume('type');
    expect(await job.completed).toMatchObject({ status: 'completed', total: 40, done: 40 });
    await process.waitForCompletion();
    const submittedByGetters = ['offered', 'a', 'b', 'last'];
    expect(handled).toEqual([...submittedByGetters, ...Array.from({ length: 40 }, (_, index) => index)]);
    await process.end();
  });

  it('is read no more once it was submitted: what its owner does to it changes nothing', async () => {
    const process = start({ maxQueueSize: 2 });
    const handled: unknown[] = [];
    process.register('type', { processItem: (payload: unknown) => void handled.push(payload) });
    const payloads = [1, 2, 3, 4, 5];
    const submitting = process.distributeWork('type', payloads);
    payloads.fill(0);
    payloads.length = 3;
    await (
      await submitting
    ).completed;
    expect(handled).toEqual([1, 2, 3, 4, 5]);
    await process.end();
  });
});

describe('a source', () => {
  it.each([
    [
      'throws',
      (function* () {
        yield 1;
        yield 2;
        throw new Error('source');
      })(),
    ],
    [
      'rejects',
      (async function* () {
        yield 1;
        yield 2;
        throw new Error('source');
      })(),
    ],
    [
      'throws what is no error',
      (function* () {
        yield 1;
        yield 2;
        throw null;
      })(),
    ],
    [
      'breaks the protocol',
      {
        [Symbol.iterator]: () => {
          let i = 0;
          return { next: () => (++i < 3 ? { done: false, value: i } : undefined) };
        },
      },
    ],
  ])('that %s fails its job, and what was read still runs', async (_, source: unknown) => {
    const process = start();
    const handled: unknown[] = [];
    process.register('type', { processItem: (payload: unknown) => void handled.push(payload) });
    void process.pause('type');
    const job = await process.distributeWork('type', source);
    await settle();
    expect(job.isEnded).toBe(false);
    void process.resume('type');
    expect(await job.completed).toMatchObject({
      status: 'source-failed',
      done: 2,
      total: 2,
      error: expect.any(Error),
    });
    expect(handled).toEqual([1, 2]);
    await process.end();
  });

  it('is told to end when its job is cancelled, once, and what it gives then is dropped', async () => {
    const process = start({ maxQueueSize: 2 });
    const gate = deferred();
    process.register('type', { processItem: () => gate.promise });
    const end = jest.fn();
    let pulled = 0;
    const job = await process.distributeWork(
      'type',
      (async function* () {
        try {
          for (;;) yield ++pulled;
        } finally {
          end();
        }
      })(),
    );
    await settle();
    expect(pulled).toBe(4);
    void job.cancel();
    gate.resolve();
    expect(await job.completed).toMatchObject({ status: 'cancelled', done: 1, cancelled: 2, accepted: 3 });
    await settle();
    expect(end).toHaveBeenCalledTimes(1);
    expect(pulled).toBe(4);
    await process.end();
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('return');
      },
    ],
    ['rejects', () => Promise.reject(new Error('return'))],
    ['never resolves', () => new Promise(() => undefined)],
    ['is missing', undefined],
  ])('whose return %s does no harm when its job is cancelled', async (_, end) => {
    const process = start({ maxQueueSize: 2 });
    const gate = deferred();
    process.register('type', { processItem: () => gate.promise });
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.resolve({ done: false as const, value: 1 }),
        ...(end && { return: end as () => Promise<IteratorResult<number>> }),
      }),
    };
    const job = await process.distributeWork('type', source as AsyncIterable<number>);
    await settle();
    void job.cancel();
    gate.resolve();
    expect(await job.completed).toMatchObject({ status: 'cancelled', done: 1, cancelled: 2 });
    await process.waitForCompletion();
    await process.end();
  });

  it('that is asked for an item when its job is cancelled gives it to nobody', async () => {
    const process = start();
    const handled: unknown[] = [];
    process.register('type', { processItem: (payload: unknown) => void handled.push(payload) });
    const next = deferred<IteratorResult<string>>();
    const source = { [Symbol.asyncIterator]: () => ({ next: () => next.promise }) };
    const job = await process.distributeWork('type', source);
    void job.cancel();
    next.resolve({ done: false, value: 'late' });
    expect(await job.completed).toMatchObject({ status: 'cancelled', total: 0 });
    await settle();
    expect(job.progress()).toMatchObject({ accepted: 0, total: 0 });
    expect(process.counts().submitted).toBe(0);
    expect(handled).toEqual([]);
    await process.end();
  });

  it('that never answers holds nobody up once its job is cancelled', async () => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) };
    const job: Job = await process.distributeWork('type', silent);
    let isComplete = false;
    const completion = process.waitForCompletion().then(() => (isComplete = true));
    await settle();
    expect(isComplete).toBe(false);
    void job.cancel();
    await completion;
    expect(await job.completed).toMatchObject({ status: 'cancelled', total: 0 });
    await process.shutdown();
    expect(process.clock.now()).toBe(0);
  });

  it('that is stopped in the moment in which its item was let in gives that item once', async () => {
    const admitted: unknown[] = [];
    const workload = {
      submit: () => false,
      admission: { join: () => undefined, leave: () => undefined },
      admit: (_: unknown, payload: unknown) => admitted.push(payload),
    } as unknown as Workload;
    const job = makeJob();
    const stream = new StreamProducer(workload, job, [1, 2, 3].values(), new TimeSlices(new ManualClock()));
    expect(stream.proceed()).toBe(true);
    stream.stop();
    stream.stop();
    await stream.ended;
    expect(admitted).toEqual([1]);
    expect(job.isSealed).toBe(true);
  });

  it('is read at once, and no further than asked', async () => {
    const process = start({ maxQueueSize: 3 });
    process.register('type', { processItem: () => undefined });
    void process.pause('type');
    let pulled = 0;
    await process.distributeWork(
      'type',
      (function* () {
        for (; pulled < 10; pulled++) yield pulled;
      })(),
    );
    await settle();
    expect(process.counts().waiting).toBe(3);
    expect(pulled).toBe(3);
    void process.resume('type');
    await process.waitForCompletion();
    expect(process.counts().completed).toBe(10);
    await process.end();
  });
});
