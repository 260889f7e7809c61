import { describe, expect, it } from '@jest/globals';
import type { BatchContext } from '../../../src/core/batch-context.js';
import { NonErrorThrownError, UnrecoverableError } from '../../../src/core/errors.js';
import { deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ retry: { limit: 2, backoffMs: 100, jitter: 0 } });

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
    const letters = await process.deadLetters();
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
    expect((await process.deadLetters()).map(({ payload, error }) => [payload, error.message])).toEqual([
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
    void a.cancel();
    await settle();
    expect(signals[0]!.aborted).toBe(false);
    void b.cancel();
    expect(await a.completed).toMatchObject({ status: 'cancelled', cancelled: 2 });
    expect(await b.completed).toMatchObject({ status: 'cancelled', cancelled: 1 });
  });

  it('keeps a signal that is not aborted once it has settled, whatever ends later', async () => {
    const process = start();
    const signals: AbortSignal[] = [];
    process.register('type', { processBatch: (_, { signal }: BatchContext) => void signals.push(signal) });
    await process.distributeWork('type', ['a', 'b']);
    await settle();
    expect(process.pool.workerCount()).toBe(1);
    await process.pool.shutdown();
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
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
    await process.redriveDeadLetters({ type: 'type' });
    await settle();
    const other = await process.distributeWork('type', ['other']);
    void other.cancel();
    expect(signals).toHaveLength(1);
    expect(signals[0]!.aborted).toBe(false);
    gate.resolve();
    await process.waitForCompletion();
    expect(process.counts()).toMatchObject({ completed: 1, cancelled: 2, dead: 0 });
  });
});
