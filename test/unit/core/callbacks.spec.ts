import { describe, expect, it } from '@jest/globals';
import { RetryLaterError } from '../../../src/core/errors.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ retry: { limit: 2, backoffMs: 100, jitter: 0 } });

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
