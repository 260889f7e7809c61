/* oxlint-disable jest/no-conditional-expect, unicorn/no-thenable -- thenables are what is tested */
import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { BatchContext } from '../../../src/core/batch-context.js';
import {
  DeadLettersFullError,
  JobCancelledError,
  NonErrorThrownError,
  RejectedLetterError,
  RetryLaterError,
  UnrecoverableError,
} from '../../../src/core/errors.js';
import type { ItemContext } from '../../../src/core/item-context.js';
import type { WorkerProcessOptionsInput } from '../../../src/core/options.js';
import { deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { ManualProcess } from '../../support/manual-process.js';

const started: ManualProcess[] = [];

function start(options: WorkerProcessOptionsInput = {}): ManualProcess {
  const process = new ManualProcess({
    retry: { limit: 2, backoffMs: 100, jitter: 0 },
    ...(options as object),
  });
  started.push(process);
  return process;
}

afterEach(async () => {
  for (const process of started.splice(0)) await process.end();
});

describe('an item handler', () => {
  const failures: [string, () => unknown, unknown][] = [
    [
      'throws an error',
      () => {
        throw new Error('boom');
      },
      undefined,
    ],
    ['rejects', () => Promise.reject(new Error('boom')), undefined],
    [
      'throws undefined',
      () => {
        throw undefined;
      },
      undefined,
    ],
    ['rejects with null', () => Promise.reject(null), null],
    [
      'throws a text',
      () => {
        throw 'text' as unknown as Error;
      },
      'text',
    ],
    [
      'throws a frozen object',
      () => {
        throw Object.freeze({ frozen: true }) as unknown as Error;
      },
      { frozen: true },
    ],
    [
      'throws a frozen error',
      () => {
        throw Object.freeze(new Error('boom'));
      },
      undefined,
    ],
    [
      'returns a thenable that rejects',
      () => ({ then: (_: unknown, no: (e: Error) => void) => no(new Error('boom')) }),
      undefined,
    ],
    [
      'returns a thenable that throws',
      () => ({
        then: () => {
          throw new Error('boom');
        },
      }),
      undefined,
    ],
    [
      'returns what throws when looked at',
      () => ({
        get then(): never {
          throw new Error('boom');
        },
      }),
      undefined,
    ],
    [
      'throws a revoked proxy',
      () => {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        throw proxy as unknown as Error;
      },
      undefined,
    ],
  ];

  it.each(failures)('that %s fails its attempt, and nothing else', async (_, handler, thrown) => {
    const process = start({ retry: { limit: 0 } });
    process.register('type', {
      processItem: (payload: string) => (payload === 'bad' ? handler() : undefined),
    });
    const job = await process.distributeWork('type', ['good', 'bad', 'good']);
    await settle();
    expect(await job.completed).toMatchObject({ status: 'completed-with-failures', done: 2, failed: 1 });
    const [letter] = process.deadLetters();
    expect(letter).toMatchObject({ index: 1, payload: 'bad', attempts: 1, reason: 'attempts-exhausted' });
    expect(letter!.error).toBeInstanceOf(Error);
    if (letter!.error instanceof NonErrorThrownError && thrown !== undefined) {
      expect(letter!.error.thrown).toEqual(thrown);
    } else if (!(letter!.error instanceof NonErrorThrownError)) {
      expect(letter!.error.message).toBe('boom');
    }
  });

  it.each([
    ['a value', () => 5],
    ['a promise', () => Promise.resolve()],
    ['a thenable', () => ({ then: (yes: () => void) => yes() })],
    ['an object whose then is no function', () => ({ then: 5 })],
    ['a function', () => () => undefined],
  ])('completes its item by returning %s', async (_, handler) => {
    const process = start();
    process.register('type', { processItem: handler });
    const job = await process.distributeWork('type', 'item');
    await settle();
    expect(await job.completed).toMatchObject({ status: 'completed', done: 1, total: 1 });
  });

  it('sees the same id and index in each attempt, the attempt counted from 1, and its own item at any time', async () => {
    const process = start({ maxConcurrency: 1 });
    const seen: unknown[] = [];
    process.register('type', {
      processItem: async (payload: string, context: ItemContext) => {
        await settle();
        const { id, type, jobId, index, attempt } = context;
        seen.push({ payload, id, type, jobId, index, attempt });
        if (payload === 'b' && attempt < 3) throw new Error('again');
      },
    });
    const job = await process.distributeWork('type', ['a', 'b', 'c']);
    await process.clock.turn(1_000);
    const of = (payload: string, index: number, attempt: number) => ({
      payload,
      id: `${job.id}:${index}`,
      type: 'type',
      jobId: job.id,
      index,
      attempt,
    });
    expect(seen).toEqual([of('a', 0, 1), of('b', 1, 1), of('c', 2, 1), of('b', 1, 2), of('b', 1, 3)]);
    expect(process.counts()).toMatchObject({ completed: 3, failedAttempts: 2 });
  });

  it('gets a signal that is made when it is asked for, and is its own', async () => {
    const { AbortController: original } = globalThis;
    let made = 0;
    globalThis.AbortController = class extends original {
      constructor() {
        super();
        made++;
      }
    };
    try {
      const process = start({ maxConcurrency: 1 });
      const signals: AbortSignal[] = [];
      process.register('type', {
        processItem: (asks: boolean, context: ItemContext) => {
          if (asks) signals.push(context.signal, context.signal);
        },
      });
      await process.distributeWork('type', [false, false, true, false, true]);
      await settle();
      expect(made).toBe(2);
      expect(new Set(signals).size).toBe(2);
      expect(signals.map(({ aborted }) => aborted)).toEqual([false, false, false, false]);
    } finally {
      globalThis.AbortController = original;
    }
  });

  it('has its signal aborted when its job is cancelled: failing then is being cancelled, success is success', async () => {
    const process = start({ maxConcurrency: 4, scalingThreshold: 1 });
    const reasons: unknown[] = [];
    process.register('type', {
      processItem: async (manner: string, context: ItemContext) => {
        const { signal } = context;
        if (manner === 'other job') {
          await gate.promise;
          expect(signal.aborted).toBe(false);
          return;
        }
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        reasons.push(signal.reason);
        if (manner === 'throws') throw signal.reason;
      },
    });
    const gate = deferred();
    const other = await process.distributeWork('type', ['other job']);
    const job = await process.distributeWork('type', ['throws', 'succeeds', 'throws', 'waits', 'waits']);
    await settle();
    expect(process.counts().running).toBe(4);
    job.cancel();
    job.cancel();
    expect(await job.completed).toEqual({
      accepted: 5,
      total: 5,
      done: 1,
      failed: 0,
      cancelled: 4,
      handedBack: 0,
      status: 'cancelled',
      error: undefined,
    });
    expect(reasons).toEqual(Array(3).fill(expect.any(JobCancelledError)));
    expect(process.counts()).toMatchObject({ cancelled: 4, completed: 1, failedAttempts: 0, running: 1 });
    gate.resolve();
    expect(await other.completed).toMatchObject({ status: 'completed', done: 1 });
  });

  it('is not cancelled by a cancel that came before its item: the next item of the worker has a fresh signal', async () => {
    const process = start({ maxConcurrency: 1 });
    const gate = deferred();
    const aborted: boolean[] = [];
    process.register('type', {
      processItem: async (payload: string, context: ItemContext) => {
        if (payload === 'first') await gate.promise;
        aborted.push(context.signal.aborted);
      },
    });
    const job = await process.distributeWork('type', ['first']);
    await process.distributeWork('type', ['second']);
    await settle();
    job.cancel();
    gate.resolve();
    await settle();
    expect(aborted).toEqual([true, false]);
  });

  it('may cancel its own job, which drops the rest', async () => {
    const process = start({ maxConcurrency: 1 });
    const handled: number[] = [];
    process.register('type', {
      processItem: (payload: number, context: ItemContext) => {
        handled.push(payload);
        if (payload === 1) process.findJob(context.jobId)!.cancel();
      },
    });
    const job = await process.distributeWork('type', [0, 1, 2, 3]);
    await settle();
    expect(await job.completed).toMatchObject({ status: 'cancelled', done: 2, cancelled: 2 });
    expect(handled).toEqual([0, 1]);
  });

  it('drops the delayed items of a cancelled job, which nothing waits for then', async () => {
    const process = start();
    process.register('type', {
      processItem: () => {
        throw new Error('fails');
      },
    });
    const job = await process.distributeWork('type', [1, 2, 3]);
    await settle();
    expect(process.counts().delayed).toBe(3);
    job.cancel();
    expect(process.counts()).toMatchObject({ delayed: 0, cancelled: 3 });
    await process.waitForCompletion();
    await process.shutdown();
    expect(process.clock.now()).toBe(0);
  });

  it('gets every payload as it was given, however odd', async () => {
    const process = start({ maxConcurrency: 1 });
    const { proxy: revoked, revoke } = Proxy.revocable({}, {});
    revoke();
    const thenable = { then: () => expect('then').toBe('not called') };
    const odd = [
      undefined,
      null,
      NaN,
      Symbol('s'),
      () => 0,
      Object.freeze([1]),
      thenable,
      revoked,
      new Map(),
    ];
    const got: unknown[] = [];
    process.register('type', { processItem: (payload: unknown) => void got.push(payload) });
    await process.distributeWork('type', odd);
    await settle();
    for (const payload of odd) expect(process.offer('type', payload)).toBe(true);
    await settle();
    for (const payload of [undefined, null, thenable]) await process.distributeWork('type', payload);
    await process.distributeWork('type', new Set([thenable, revoked]));
    await settle();
    const expected = [...odd, ...odd, undefined, null, thenable, thenable, revoked];
    expect(got).toHaveLength(expected.length);
    expect(got.every((payload, index) => Object.is(payload, expected[index]))).toBe(true);
    expect(process.counts().completed).toBe(expected.length);
  });

  it('gets the items of an array as they were at the call, holes included', async () => {
    const process = start({ maxConcurrency: 1, maxQueueSize: 2 });
    const got: unknown[] = [];
    process.register('type', { processItem: (payload: unknown) => void got.push(payload) });
    // oxlint-disable-next-line no-sparse-arrays
    const payloads: unknown[] = [1, , 3, 4, 5, 6];
    const submitted = process.distributeWork('type', payloads);
    payloads.fill('changed');
    payloads.length = 1;
    const job = await submitted;
    await settle();
    expect(await job.completed).toMatchObject({ done: 6 });
    expect(got).toEqual([1, undefined, 3, 4, 5, 6]);
  });

  it('leaves a finished job as it is when it is cancelled', async () => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    const job = await process.distributeWork('type', ['a']);
    await settle();
    job.cancel();
    expect(job.isCancelled).toBe(false);
    expect(await job.completed).toMatchObject({ status: 'completed', done: 1, cancelled: 0 });
  });

  it('finishes a job of nothing at once', async () => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    const finished = process.heard('jobFinished');
    for (const nothing of [[], new Set(), (async function* () {})()]) {
      const job = await process.distributeWork('type', nothing);
      expect(await job.completed).toMatchObject({ status: 'completed', total: 0 });
    }
    expect(finished).toHaveLength(3);
  });
});

describe('a batch handler', () => {
  it('fails single items by context.fail, the first failure of each counts, and the rest is done', async () => {
    const process = start({ retry: { limit: 0 }, batchSize: 4 });
    let kept: BatchContext | undefined;
    process.register('type', {
      processBatch: async (_: readonly string[], context: BatchContext) => {
        kept = context;
        context.fail(1, new Error('first'));
        await settle();
        context.fail(1, new Error('second'));
        context.fail(3, undefined);
      },
    });
    const job = await process.distributeWork('type', ['a', 'b', 'c', 'd']);
    await process.clock.turn(0);
    kept!.fail(0, new Error('too late'));
    expect(await job.completed).toMatchObject({ done: 2, failed: 2 });
    const letters = process.deadLetters();
    expect(letters.map(({ payload }) => payload)).toEqual(['b', 'd']);
    expect(letters[0]!.error.message).toBe('first');
    expect(letters[1]!.error).toBeInstanceOf(NonErrorThrownError);
  });

  it('fails the others by throwing, each by its own error', async () => {
    const process = start({ retry: { limit: 0 } });
    process.register('type', {
      processBatch: (_: readonly string[], context: BatchContext) => {
        context.fail(1, new UnrecoverableError('alone'));
        throw new Error('all');
      },
    });
    await process.distributeWork('type', ['a', 'b', 'c']);
    await settle();
    expect(process.deadLetters().map(({ payload, error }) => [payload, error.message])).toEqual([
      ['a', 'all'],
      ['b', 'alone'],
      ['c', 'all'],
    ]);
    expect(process.counts()).toMatchObject({ completed: 0, dead: 3, failedAttempts: 3 });
  });

  it('is told of a place that the batch does not have', async () => {
    const process = start();
    const errors: unknown[] = [];
    let kept: BatchContext | undefined;
    process.register('type', {
      processBatch: (_: readonly string[], context: BatchContext) => {
        kept = context;
        for (const place of [-1, 2, 0.5, NaN, '0' as never]) {
          for (const act of [
            () => context.fail(place, 0),
            () => context.itemId(place),
            () => context.attempt(place),
          ]) {
            try {
              act();
            } catch (error) {
              errors.push(error);
            }
          }
        }
      },
    });
    const job = await process.distributeWork('type', ['a', 'b']);
    await settle();
    expect(errors).toHaveLength(15);
    for (const error of errors) expect(error).toBeInstanceOf(RangeError);
    expect(String(errors[0])).toBe('RangeError: Expected a place in the batch from 0 to 1, got -1');
    expect(await job.completed).toMatchObject({ done: 2 });
    expect(() => kept!.itemId(0)).toThrow('has settled');
    expect(() => kept!.fail(7, new Error('late'))).not.toThrow();
  });

  it('works on items of several jobs together, and settles each for its own job', async () => {
    const process = start({ batchSize: 10, retry: { limit: 1, backoffMs: 50, jitter: 0 } });
    const batches: unknown[] = [];
    process.register('type', {
      processBatch: (payloads: readonly string[], context: BatchContext) => {
        batches.push(payloads.map((_, place) => [context.itemId(place), context.attempt(place)]));
        payloads.forEach((payload, place) => {
          if (payload === 'bad') context.fail(place, new Error('bad'));
        });
      },
    });
    const [a, b, c] = await Promise.all([
      process.distributeWork('type', ['good', 'bad']),
      process.distributeWork('type', ['good', 'good']),
      process.distributeWork('type', 'bad'),
    ]);
    await process.clock.turn(200);
    expect(batches).toEqual([
      [
        [`${a.id}:0`, 1],
        [`${a.id}:1`, 1],
        [`${b.id}:0`, 1],
        [`${b.id}:1`, 1],
        [`${c.id}:0`, 1],
      ],
      [
        [`${a.id}:1`, 2],
        [`${c.id}:0`, 2],
      ],
    ]);
    expect(await a.completed).toMatchObject({ done: 1, failed: 1 });
    expect(await b.completed).toMatchObject({ done: 2 });
    expect(await c.completed).toMatchObject({ failed: 1 });
  });

  it('may take its payloads apart: what is retried is what was submitted', async () => {
    const process = start();
    const seen: string[][] = [];
    process.register('type', {
      processBatch: (payloads: readonly string[], context: BatchContext) => {
        const mine = payloads as string[];
        seen.push([...mine]);
        while (mine.length > 0) mine.pop();
        if (context.attempt(0) === 1) throw new Error('again');
      },
    });
    const job = await process.distributeWork('type', ['a', 'b']);
    await process.clock.turn(200);
    expect(seen).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
    expect(await job.completed).toMatchObject({ done: 2 });
  });

  it('is aborted by a cancel only when the jobs of all its items are cancelled', async () => {
    const process = start();
    const signals: AbortSignal[] = [];
    process.register('type', {
      processBatch: async (_: readonly string[], { signal }: BatchContext) => {
        signals.push(signal);
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        throw signal.reason;
      },
    });
    const [a, b] = await Promise.all([
      process.distributeWork('type', ['a', 'a']),
      process.distributeWork('type', ['b']),
    ]);
    await settle();
    a.cancel();
    await settle();
    expect(signals[0]!.aborted).toBe(false);
    b.cancel();
    expect(await a.completed).toMatchObject({ status: 'cancelled', cancelled: 2 });
    expect(await b.completed).toMatchObject({ status: 'cancelled', cancelled: 1 });
  });

  it('is given up to batchSize items', async () => {
    const process = start({ batchSize: 3, maxConcurrency: 1 });
    const sizes: number[] = [];
    process.register('type', {
      processBatch: (payloads: readonly number[], context: BatchContext) => {
        expect(context.size).toBe(payloads.length);
        sizes.push(payloads.length);
      },
    });
    await process.distributeWork('type', [1, 2, 3, 4, 5, 6, 7]);
    await settle();
    expect(sizes).toEqual([3, 3, 1]);
  });
});

describe('an observer', () => {
  it('is told of each item that completes or dies, with its attempts', async () => {
    const process = start({ retry: { limit: 1, backoffMs: 10, jitter: 0 } });
    const endings: unknown[] = [];
    process.register('type', {
      processItem: (payload: string) => {
        if (payload === 'bad') throw new Error('bad');
      },
    });
    await process.distributeWork('type', ['good', 'bad'], {
      observer: { itemEnded: (index, { kind }, attempts) => void endings.push([index, kind, attempts]) },
    });
    await process.clock.turn(100);
    expect(endings).toEqual([
      [0, 'completed', 1],
      [1, 'dead', 2],
    ]);
  });

  it('that throws ends neither the worker nor the count', async () => {
    const process = start({ retry: { limit: 0 }, maxConcurrency: 1 });
    const failed = process.heard('callbackFailed');
    process.register('type', {
      processItem: (payload: number) => {
        if (payload === 2) throw new Error('bad');
      },
    });
    const job = await process.distributeWork('type', [1, 2, 3], {
      observer: {
        itemEnded: () => {
          throw new Error('observer');
        },
      },
    });
    await settle();
    expect(await job.completed).toMatchObject({ done: 2, failed: 1 });
    expect(failed).toEqual(
      Array.from({ length: 3 }, () => ({ event: 'observer', error: new Error('observer') })),
    );
  });
});

async function withDead(payloads: string[], options: WorkerProcessOptionsInput = {}) {
  const process = start({ maxConcurrency: 1, retry: { limit: 1, backoffMs: 10, jitter: 0 }, ...options });
  let isBroken = true;
  const attempts: [string, number][] = [];
  process.register('type', {
    processItem: (payload: string, context: ItemContext) => {
      attempts.push([payload, context.attempt]);
      if (isBroken) throw new Error(payload);
    },
  });
  const job = await process.distributeWork('type', payloads);
  await process.clock.turn(1_000);
  return { process, job, attempts, mend: () => (isBroken = false) };
}

describe('a handler that throws a function whose name is no text', () => {
  it('fails its attempt, and its worker goes on', async () => {
    const process = start({ maxConcurrency: 1, retry: { limit: 0 } });
    const unnamed = Object.defineProperty(() => undefined, 'name', { value: Symbol('not a text') });
    process.register('type', {
      processItem: (payload: number) => {
        if (payload === 0) throw unnamed as unknown as Error;
      },
    });
    const job = await process.distributeWork('type', [0, 1, 2]);
    await process.clock.turn(10);
    expect(await job.completed).toMatchObject({ done: 2, failed: 1 });
  });
});

describe('dead letters', () => {
  it('are listed oldest first, a page at a time, and frozen', async () => {
    const { process, job } = await withDead(['a', 'b', 'c', 'd', 'e']);
    const ids = (query: object) => process.deadLetters(query).map(({ id }) => id);
    const all = [0, 1, 2, 3, 4].map((index) => `${job.id}:${index}`);
    expect(ids({})).toEqual(all);
    expect(ids({ type: 'type', limit: 2 })).toEqual(all.slice(0, 2));
    const sequences = process.deadLetters().map(({ sequence }) => sequence);
    expect(ids({ limit: 2, after: sequences[1] })).toEqual(all.slice(2, 4));
    expect(ids({ after: sequences[4] })).toEqual([]);
    expect(ids({ limit: 0 })).toEqual([]);
    const [letter] = process.deadLetters();
    expect(Object.isFrozen(letter)).toBe(true);
    expect(letter).toMatchObject({
      attempts: 2,
      type: 'type',
      diedAtMs: process.clock.wallNow() - 1_000 + 10,
    });
  });

  it('can be gone through page by page while they are redriven or discarded', async () => {
    const { process, job } = await withDead(['a', 'b', 'c', 'd', 'e']);
    const seen: number[] = [];
    let after = 0;
    for (;;) {
      const page = process.deadLetters({ limit: 2, after });
      if (page.length === 0) break;
      seen.push(...page.map(({ index }) => index));
      process.discardDeadLetters({ ids: page.map(({ id }) => id) });
      after = page.at(-1)!.sequence;
    }
    expect(seen).toEqual([0, 1, 2, 3, 4]);
    expect(process.deadLetters()).toEqual([]);
    expect(job.progress()).toMatchObject({ failed: 5 });
  });

  it('of several types are listed in the order in which they died', async () => {
    const process = start({ retry: { limit: 0 } });
    for (const type of ['one', 'two'])
      process.register(type, { processItem: () => Promise.reject(new Error('no')) });
    for (const type of ['two', 'one', 'two']) {
      await process.distributeWork(type, type);
      await process.clock.turn(0);
    }
    expect(process.deadLetters().map(({ type }) => type)).toEqual(['two', 'one', 'two']);
    expect(process.totalItemsProcessed).toBe(3);
    process.redriveDeadLetters({ type: 'two' });
    expect(process.totalItemsProcessed).toBe(3);
  });

  it('run again from attempt 1 when redriven, and their job counts follow', async () => {
    const { process, job, attempts, mend } = await withDead(['a', 'b', 'c']);
    const result = await job.completed;
    expect(result).toMatchObject({ done: 0, failed: 3 });
    attempts.length = 0;
    mend();
    const ids = [`${job.id}:2`, `${job.id}:0`, `${job.id}:0`, 'unknown'];
    expect(process.redriveDeadLetters({ ids })).toBe(2);
    expect(job.progress()).toMatchObject({ done: 0, failed: 1 });
    expect(process.counts()).toMatchObject({ dead: 1, waiting: 2 });
    await settle();
    expect(attempts).toEqual([
      ['c', 1],
      ['a', 1],
    ]);
    expect(job.progress()).toMatchObject({ done: 2, failed: 1, accepted: 3 });
    expect(await job.completed).toBe(result);
    expect(process.redriveDeadLetters({ type: 'type' })).toBe(1);
    await settle();
    expect(job.progress()).toMatchObject({ done: 3, failed: 0 });
    expect(process.deadLetters()).toEqual([]);
  });

  it('tell the first end of a job that was asked for its result after a redrive', async () => {
    const process = start({ retry: { limit: 0 } });
    process.register('type', { processItem: () => Promise.reject(new Error('no')) });
    const job = await process.distributeWork('type', 'item');
    await settle();
    process.redriveDeadLetters({ type: 'type' });
    expect(await job.completed).toMatchObject({ status: 'completed-with-failures', failed: 1 });
    await settle();
    expect(job.progress()).toMatchObject({ failed: 1, done: 0 });
  });

  it('stay dead letters, not cancelled, when they fail again after their job was cancelled', async () => {
    const { process, job } = await withDead(['a', 'b']);
    const other = await process.distributeWork('type', ['c']);
    await process.clock.turn(5);
    other.cancel();
    await process.clock.turn(100);
    expect(process.counts()).toMatchObject({ dead: 2, cancelled: 1 });
    job.cancel();
    process.redriveDeadLetters({ type: 'type' });
    await process.clock.turn(1_000);
    expect(process.deadLetters()).toHaveLength(2);
    expect(process.counts()).toMatchObject({ dead: 2, cancelled: 1 });
  });

  it('of a cancelled job that are redriven are retried and kept like any other', async () => {
    const process = start({
      maxConcurrency: 2,
      scalingThreshold: 1,
      retry: { limit: 1, backoffMs: 10, jitter: 0 },
    });
    const gate = deferred();
    process.register('type', {
      processItem: (payload: string) => (payload === 'bad' ? Promise.reject(new Error('bad')) : gate.promise),
    });
    const job = await process.distributeWork('type', ['bad', 'slow']);
    await process.clock.turn(100);
    expect(process.deadLetters()).toHaveLength(1);
    job.cancel();
    gate.reject(new Error('cancelled'));
    expect(await job.completed).toMatchObject({ status: 'cancelled', failed: 1, cancelled: 1 });
    expect(process.redriveDeadLetters({ type: 'type' })).toBe(1);
    await process.clock.turn(100);
    expect(process.deadLetters()).toMatchObject([{ payload: 'bad', attempts: 2 }]);
    expect(job.progress()).toMatchObject({ failed: 1, cancelled: 1 });
  });

  it('are forgotten for good when discarded', async () => {
    const { process, job } = await withDead(['a', 'b', 'c']);
    expect(process.discardDeadLetters({ ids: [`${job.id}:1`, `${job.id}:1`, 'unknown'] })).toBe(1);
    expect(process.deadLetters().map(({ payload }) => payload)).toEqual(['a', 'c']);
    expect(process.discardDeadLetters({ type: 'type' })).toBe(2);
    expect(process.redriveDeadLetters({ type: 'type' })).toBe(0);
    expect(process.counts()).toMatchObject({ dead: 3, waiting: 0 });
    expect(process.reportPerformance().types[0]).toMatchObject({ deadLetters: 0, dead: 3 });
  });

  it('pause their type at maxDeadLetters, none is dropped, and it goes on when some are taken away', async () => {
    const { process } = await withDead(['a', 'b', 'c', 'd'], { maxDeadLetters: 2, retry: { limit: 0 } });
    const paused = process.heard('paused');
    const resumed = process.heard('resumed');
    expect(process.counts()).toMatchObject({ dead: 2, waiting: 2, running: 0 });
    await process.clock.turn(10_000);
    expect(process.counts()).toMatchObject({ dead: 2, waiting: 2, running: 0 });
    expect(process.pool.workerCount()).toBe(0);
    process.discardDeadLetters({ ids: [process.deadLetters()[0]!.id] });
    await process.clock.turn(1_000);
    expect(process.counts()).toMatchObject({ dead: 3, waiting: 1 });
    process.redriveDeadLetters({ type: 'type' });
    await process.clock.turn(1_000);
    expect(process.deadLetters()).toHaveLength(2);
    expect(resumed).toEqual([
      { type: 'type', reason: 'dead-letters-full' },
      { type: 'type', reason: 'dead-letters-full' },
    ]);
    expect(paused).toEqual(resumed);
    process.resume('type');
    await process.clock.turn(1_000);
    expect(process.deadLetters()).toHaveLength(2);
  });

  it('are made of items that were refused before their first attempt', async () => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    const job = process.rejectItem('type', { bad: true }, new Error('no such field'));
    expect(await job.completed).toMatchObject({ status: 'completed-with-failures', failed: 1, total: 1 });
    expect(process.deadLetters()).toMatchObject([{ id: `${job.id}:0`, reason: 'rejected', attempts: 0 }]);
  });

  it('of refused items are never redriven: their payloads did not pass the check', async () => {
    const process = start({ retry: { limit: 0 } });
    const worked: unknown[] = [];
    process.register('type', {
      processItem: (payload) => {
        if (worked.push(payload) === 1) throw new Error('dies once');
      },
    });
    const refused = process.rejectItem('type', 'unchecked', new Error('no such field'));
    const checked = await process.distributeWork('type', 'checked');
    await settle();
    const ids = [`${checked.id}:0`, `${refused.id}:0`];
    expect(() => process.redriveDeadLetters({ ids })).toThrow(RejectedLetterError);
    expect(process.deadLetters()).toHaveLength(2);
    expect(process.redriveDeadLetters({ type: 'type' })).toBe(1);
    await settle();
    expect(worked).toEqual(['checked', 'checked']);
    expect(process.deadLetters()).toMatchObject([{ reason: 'rejected' }]);
    expect(process.discardDeadLetters({ ids })).toBe(1);
  });

  it('are selected by their ids, by a type, or by both', async () => {
    const process = start({ retry: { limit: 0 } });
    const dies = {
      processItem: () => {
        throw new Error('dies');
      },
    };
    process.register('one', dies);
    process.register('two', dies);
    await process.distributeWork('one', [1, 2, 3]);
    await process.distributeWork('two', [4]);
    await settle();
    const [first, second] = process.deadLetters({ type: 'one' }).map(({ id }) => id);
    const [other] = process.deadLetters({ type: 'two' }).map(({ id }) => id);
    expect(process.discardDeadLetters({ type: 'one', ids: [] })).toBe(0);
    expect(process.redriveDeadLetters({ type: 'one', ids: [other!] })).toBe(0);
    expect(process.discardDeadLetters({ type: 'one', ids: [first!, other!] })).toBe(1);
    expect(process.redriveDeadLetters({ ids: [second!, other!] })).toBe(2);
    await settle();
    expect(process.deadLetters({ type: 'one' })).toHaveLength(2);
    expect(process.discardDeadLetters({ type: 'one' })).toBe(2);
    expect(process.deadLetters()).toMatchObject([{ type: 'two', payload: 4 }]);
  });

  it.each([
    [{}, 'expected ids, a type, or both, got neither'],
    [{ ids: 'abc' }, 'ids: expected an array of ids of dead letters, got "abc"'],
    [{ type: '' }, 'type: expected a text that is not empty, got ""'],
    [{ types: ['one'] }, 'types: unknown option; expected one of ids, type'],
    [undefined, 'options: expected an object, got undefined'],
  ])('are not selected by %p, and none is touched', async (selection, problem) => {
    const process = start({ retry: { limit: 0 } });
    process.register('one', {
      processItem: () => {
        throw new Error('dies');
      },
    });
    await process.distributeWork('one', [1]);
    await settle();
    expect(() => process.discardDeadLetters(selection as { type: string })).toThrow(problem);
    expect(() => process.redriveDeadLetters(selection as { type: string })).toThrow(problem);
    expect(process.deadLetters()).toHaveLength(1);
  });

  it('are refused where they would be one at once when as many are kept as may be', async () => {
    const process = start({ maxDeadLetters: 10 });
    process.register('type', { processItem: () => undefined });
    let refused = 0;
    for (let round = 0; round < 1_000; round++) {
      try {
        process.rejectItem('type', round, new Error('bad'));
      } catch (error) {
        expect(error).toBeInstanceOf(DeadLettersFullError);
        refused++;
      }
    }
    expect(refused).toBe(990);
    expect(process.deadLetters({ limit: 2_000 })).toHaveLength(10);
    expect(process.counts()).toMatchObject({ submitted: 10, dead: 10 });
    process.discardDeadLetters({ type: 'type' });
    process.rejectItem('type', 'again', new Error('bad'));
    expect(process.deadLetters()).toHaveLength(1);
  });

  it('of a cancelled job run again when they are redriven, and bring nothing back of what was dropped', async () => {
    const process = start({ maxConcurrency: 1, retry: { limit: 1, backoffMs: 1_000, jitter: 0 } });
    const worked: unknown[] = [];
    process.register('type', {
      processItem: (payload: string) => {
        worked.push(payload);
        if (payload === 'dies' && worked.length === 1) throw new UnrecoverableError('dies');
        if (payload === 'is delayed') throw new Error('later');
      },
    });
    const job = await process.distributeWork('type', ['dies', 'is delayed']);
    await settle();
    process.pause('type');
    const rest = await process.distributeWork('type', ['waits']);
    job.cancel();
    rest.cancel();
    expect(await job.completed).toMatchObject({ status: 'cancelled', failed: 1, cancelled: 1 });
    expect(process.redriveDeadLetters({ ids: [`${job.id}:0`] })).toBe(1);
    process.resume('type');
    await process.clock.turn(5_000);
    expect(worked).toEqual(['dies', 'is delayed', 'dies']);
    expect(process.counts()).toMatchObject({
      submitted: 3,
      completed: 1,
      cancelled: 2,
      waiting: 0,
      delayed: 0,
    });
  });

  it('may be redriven by a listener in the moment of their death', async () => {
    const process = start({ retry: { limit: 0 } });
    let lives = 3;
    process.register('type', {
      processItem: () => {
        if (--lives > 0) throw new Error('dies');
      },
    });
    process.on('deadLetter', ({ id }) => process.redriveDeadLetters({ ids: [id] }));
    const job = await process.distributeWork('type', ['item']);
    await settle();
    expect(await job.completed).toMatchObject({ status: 'completed', done: 1, failed: 0 });
    expect(process.counts()).toMatchObject({ dead: 0, completed: 1, submitted: 1, failedAttempts: 2 });
  });
});

describe('retryFailedItems', () => {
  it('runs now what would be retried later, of one type or of all', async () => {
    const process = start({ retry: { limit: 1, backoffMs: 10_000, jitter: 0 } });
    for (const type of ['a', 'b']) {
      process.register(type, {
        processItem: (_: unknown, { attempt }: ItemContext) => {
          if (attempt === 1) throw new Error('once');
        },
      });
      await process.distributeWork(type, [1, 2]);
    }
    await settle();
    expect(process.retryFailedItems('a')).toBe(2);
    await settle();
    expect(process.counts('a')).toMatchObject({ completed: 2, delayed: 0 });
    expect(process.counts('b')).toMatchObject({ completed: 0, delayed: 2 });
    expect(process.retryFailedItems()).toBe(2);
    await process.waitForCompletion();
    expect(process.retryFailedItems()).toBe(0);
    expect(process.clock.now()).toBe(0);
  });
});

describe('events', () => {
  it('of which a listener throws or rejects reach the others, and the failure is told', async () => {
    const process = start({ retry: { limit: 0 } });
    process.register('type', { processItem: () => Promise.reject(new Error('no')) });
    const failed = process.heard('callbackFailed');
    process.on('deadLetter', () => {
      throw 'a text' as unknown as Error;
    });
    process.on('deadLetter', async () => {
      await settle();
      throw new Error('later');
    });
    process.on('callbackFailed', () => {
      throw new Error('hopeless');
    });
    const letters = process.heard('deadLetter');
    await process.distributeWork('type', 'item');
    await settle();
    await settle();
    expect(letters).toHaveLength(1);
    expect(failed).toEqual([
      { event: 'deadLetter', error: expect.any(NonErrorThrownError) },
      { event: 'deadLetter', error: new Error('later') },
    ]);
  });

  it('reach a listener as often as it was added, until each addition is taken back', async () => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    const listener = jest.fn();
    const endFirst = process.on('jobFinished', listener);
    const endSecond = process.on('jobFinished', listener);
    await process.distributeWork('type', []);
    expect(listener).toHaveBeenCalledTimes(2);
    endFirst();
    endFirst();
    await process.distributeWork('type', []);
    expect(listener).toHaveBeenCalledTimes(3);
    endSecond();
    await process.distributeWork('type', []);
    expect(listener).toHaveBeenCalledTimes(3);
  });

  it('tell of each attempt while somebody listens, of retries, and of progress', async () => {
    const process = start({ maxConcurrency: 1 });
    process.register('type', {
      processItem: async (payload: string, context: ItemContext) => {
        context.reportProgress({ payload });
        if (context.attempt === 1 && payload === 'b') throw new Error('once');
      },
    });
    process.register('batch', {
      processBatch: (_: unknown, context: BatchContext) => context.reportProgress(1, 'half'),
    });
    const attempts = process.heard('attempt');
    const retries = process.heard('retry');
    const progress = process.heard('progress');
    const job = await process.distributeWork('type', ['a', 'b']);
    await process.clock.turn(500);
    expect(attempts.map(({ count, outcome }) => [count, outcome])).toEqual([
      [1, 'completed'],
      [1, 'failed'],
      [1, 'completed'],
    ]);
    expect(retries).toEqual([
      { type: 'type', itemId: `${job.id}:1`, attempt: 1, delayMs: 100, error: new Error('once') },
    ]);
    const batch = await process.distributeWork('batch', ['c', 'd', 'e']);
    await settle();
    expect(attempts.at(-1)).toEqual({ type: 'batch', count: 3, durationMs: 0, outcome: 'completed' });
    expect(progress.map(({ itemId, progress: told }) => [itemId, told])).toEqual([
      [`${job.id}:0`, { payload: 'a' }],
      [`${job.id}:1`, { payload: 'b' }],
      [`${job.id}:1`, { payload: 'b' }],
      [`${batch.id}:1`, 'half'],
    ]);
  });

  it('tell the end of tracked jobs only, and once; a tracked job is found by its id until then', async () => {
    const process = start();
    const gate = deferred();
    process.register('type', { processItem: () => gate.promise });
    const finished = process.heard('jobFinished');
    const untracked = await process.distributeWork('type', 'item');
    const tracked = await process.distributeWork('type', 'item', { track: true });
    const many = await process.distributeWork('type', ['item']);
    expect(process.findJob(untracked.id)).toBeUndefined();
    expect(process.findJob(tracked.id)).toBe(tracked);
    expect(process.findJob(many.id)).toBe(many);
    gate.resolve();
    await settle();
    expect(finished).toEqual([tracked, many]);
    expect(process.findJob(tracked.id)).toBeUndefined();
    expect(new Set([untracked.id, tracked.id, many.id]).size).toBe(3);
  });
});

describe('job.retryFailedItems', () => {
  it('runs what awaits a retry of this job now, and nothing of another', async () => {
    const process = start();
    const attempts: [unknown, number][] = [];
    process.register('type', {
      processItem: (payload, { attempt }) => {
        attempts.push([payload, attempt]);
        if (attempt === 1) throw new Error('once');
      },
    });
    const mine = await process.distributeWork('type', ['mine', 'mine']);
    const other = await process.distributeWork('type', ['other']);
    await settle();
    attempts.length = 0;
    expect(mine.retryFailedItems()).toBe(2);
    await settle();
    expect(attempts).toEqual([
      ['mine', 2],
      ['mine', 2],
    ]);
    expect(mine.isFinished).toBe(true);
    expect(other.isFinished).toBe(false);
    expect(mine.retryFailedItems()).toBe(0);
    await process.clock.turn(100);
    expect(await other.completed).toMatchObject({ status: 'completed' });
  });
});

describe('a function of the user that answers nonsense', () => {
  it.each([
    ['a promise', () => Promise.resolve(false), 'expected true or false, got a Promise'],
    [
      'a promise that rejects',
      () => Promise.reject(new Error('late')),
      'expected true or false, got a Promise',
    ],
    [
      'an error',
      () => {
        throw new Error('broken');
      },
      'broken',
    ],
  ])('as retryable, %s, costs no item its retry, and is told', async (_, retryable, message) => {
    const process = start({
      retry: { limit: 1, backoffMs: 10, retryable: retryable as unknown as () => boolean },
    });
    const failed = process.heard('callbackFailed');
    process.register('type', {
      processItem: (payload, { attempt }) => {
        if (attempt === 1) throw new Error('once');
      },
    });
    const job = await process.distributeWork('type', ['item']);
    await process.clock.turn(20);
    expect(await job.completed).toMatchObject({ status: 'completed' });
    expect(failed.map(({ event, error }) => [event, error.message])).toEqual([['retryable', message]]);
  });

  it.each([NaN, -1, 2, Infinity, '0.5', undefined, 1n, Symbol('chance')])(
    'as random, %p, gives a delay without jitter',
    async (answer) => {
      const process = start({
        random: () => answer as number,
        retry: { limit: 1, backoffMs: 1_000, jitter: 0.5 },
      });
      const failed = process.heard('callbackFailed');
      process.register('type', {
        processItem: (payload, { attempt }) => {
          if (attempt === 1) throw new Error('once');
        },
      });
      const job = await process.distributeWork('type', ['item']);
      await process.clock.turn(990);
      expect(process.counts().delayed).toBe(1);
      await process.clock.turn(20);
      expect(await job.completed).toMatchObject({ status: 'completed' });
      expect(failed.map(({ event }) => event)).toEqual(['random']);
    },
  );

  it.each([NaN, -5, Infinity, '7', undefined])(
    'as the delay of a RetryLaterError, %p, gives the backoff its turn',
    async (delayMs) => {
      class Later extends RetryLaterError {
        override readonly delayMs = delayMs as number;
        constructor() {
          super(0);
        }
      }
      const process = start();
      process.register('type', {
        processItem: (payload, { attempt }) => {
          if (attempt === 1) throw new Later();
        },
      });
      const job = await process.distributeWork('type', ['item']);
      await process.clock.turn(90);
      expect(process.counts().delayed).toBe(1);
      await process.clock.turn(20);
      expect(await job.completed).toMatchObject({ status: 'completed' });
    },
  );
});

describe('a job', () => {
  it('is shown at a console by what it counts, and not by its insides', async () => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    const job = await process.distributeWork('type', ['item']);
    await job.completed;
    expect(inspect(job)).toBe(`Job ${inspect(job.toJSON())}`);
    expect(inspect({ job })).toContain(job.id);
  });
});

describe('a promise of a handler that is not like others', () => {
  class Twice<T> extends Promise<T> {
    static override get [Symbol.species]() {
      return Promise;
    }
    override then<A = T, B = never>(
      onDone?: ((value: T) => A | PromiseLike<A>) | null,
      onFailed?: ((reason: unknown) => B | PromiseLike<B>) | null,
    ): Promise<A | B> {
      void super.then(onDone, onFailed);
      return super.then(onDone, onFailed);
    }
  }

  it.each([
    ['is of a subclass that calls back twice', () => Twice.resolve()],
    [
      'has a then of its own that calls back at once and twice',
      () =>
        Object.assign(Promise.resolve(), {
          then(onDone: () => void) {
            onDone();
            onDone();
          },
        }),
    ],
    ['is of another realm', () => runInNewContext('Promise.resolve()') as Promise<void>],
  ])('%s settles its item once', async (_, make) => {
    const process = start({ maxConcurrency: 1 });
    const worked: number[] = [];
    process.register('type', {
      processItem: (item: number) => {
        worked.push(item);
        return make();
      },
    });
    const job = await process.distributeWork('type', [1, 2, 3, 4]);
    expect(await job.completed).toMatchObject({ status: 'completed', done: 4 });
    expect(worked).toEqual([1, 2, 3, 4]);
    expect(process.counts()).toMatchObject({ submitted: 4, completed: 4, running: 0, waiting: 0 });
  });
});

describe('a job that is cancelled by whoever hears of its failure', () => {
  const fails = {
    processItem: () => {
      throw new Error('fails');
    },
  };

  it('by a listener of the retry: the item is dropped, and the books agree at each moment', async () => {
    const process = start({ maxQueueSize: 2 });
    process.register('type', fails);
    const sums: number[] = [];
    process.on('retry', ({ itemId }) => {
      const { completed, dead, cancelled, handedBack, waiting, delayed, running, submitted } =
        process.counts();
      sums.push(completed + dead + cancelled + handedBack + waiting + delayed + running - submitted);
      process.findJob(itemId.split(':')[0]!)!.cancel();
    });
    for (let round = 0; round < 3; round++) {
      const job = await process.distributeWork('type', ['item']);
      expect(await job.completed).toMatchObject({ status: 'cancelled', cancelled: 1 });
    }
    await process.waitForCompletion();
    expect(sums).toEqual([0, 0, 0]);
    expect(process.counts()).toMatchObject({ submitted: 3, cancelled: 3, delayed: 0 });
  });

  it('by the question whether to retry', async () => {
    const process = start({
      retry: {
        limit: 1,
        retryable: () => {
          job.cancel();
          return true;
        },
      },
    });
    process.register('type', fails);
    const job = await process.distributeWork('type', ['item']);
    expect(await job.completed).toMatchObject({ status: 'cancelled', cancelled: 1 });
    expect(process.counts()).toMatchObject({ cancelled: 1, delayed: 0, failedAttempts: 0 });
  });
});

const hostile = () =>
  Object.defineProperty(new RetryLaterError(1), 'delayMs', {
    get: () => {
      throw new Error('gotcha');
    },
  });
const trapped = () =>
  new Proxy(new RetryLaterError(5), {
    get() {
      throw new Error('gotcha');
    },
    getPrototypeOf() {
      throw new Error('gotcha');
    },
  });

describe('an error that fights back', () => {
  it.each([
    ['a delay that throws', hostile],
    ['traps everywhere', trapped],
  ])('by %s fails its item alone, and nothing of a batch is lost', async (_, makeError) => {
    const process = start({ retry: { limit: 0 } });
    process.register('item', {
      processItem: () => {
        throw makeError();
      },
    });
    process.register('batch', { processBatch: (_payloads, context) => context.fail(0, makeError()) });
    const item = await process.distributeWork('item', ['item']);
    const batch = await process.distributeWork('batch', [1, 2, 3]);
    expect(await item.completed).toMatchObject({ failed: 1 });
    expect(await batch.completed).toMatchObject({ failed: 1, done: 2 });
    expect(process.counts()).toMatchObject({ submitted: 4, completed: 2, dead: 2, running: 0 });
  });
});

describe('an observer that rejects', () => {
  it('is told of as one that throws', async () => {
    const process = start();
    const failed = process.heard('callbackFailed');
    process.register('type', { processItem: () => undefined });
    const observer = { itemEnded: () => Promise.reject(new Error('later')) as unknown as undefined };
    const job = await process.distributeWork('type', ['item'], { observer });
    await job.completed;
    await settle();
    expect(failed).toEqual([{ event: 'observer', error: new Error('later') }]);
  });
});

describe('a batch of redriven items', () => {
  it('is not aborted by the cancel of a job that has nothing in it', async () => {
    const process = start({ maxConcurrency: 1, retry: { limit: 0 } });
    const gate = deferred();
    const signals: AbortSignal[] = [];
    let isFirst = true;
    process.register('type', {
      processBatch: async (_, { signal }: BatchContext) => {
        if (isFirst) {
          isFirst = false;
          throw new Error('dies');
        }
        signals.push(signal);
        await gate.promise;
      },
      batchSize: 1,
    });
    const first = await process.distributeWork('type', ['first', 'dropped']);
    process.on('deadLetter', () => first.cancel());
    await first.completed;
    process.redriveDeadLetters({ type: 'type' });
    await settle();
    const other = await process.distributeWork('type', ['other']);
    other.cancel();
    expect(signals).toHaveLength(1);
    expect(signals[0]!.aborted).toBe(false);
    gate.resolve();
    await process.waitForCompletion();
    expect(process.counts()).toMatchObject({ completed: 1, cancelled: 2, dead: 0 });
  });
});
