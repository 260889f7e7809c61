/* oxlint-disable jest/no-conditional-expect, unicorn/no-thenable -- thenables are what is tested */
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { NonErrorThrownError, RetryLaterError } from '../../../src/core/errors.js';
import type { ItemContext } from '../../../src/core/item-context.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ retry: { limit: 2, backoffMs: 100, jitter: 0 } });

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
    const [letter] = await process.deadLetters();
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
});

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
