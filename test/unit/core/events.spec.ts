import { inspect } from 'node:util';
import { describe, expect, it, jest } from '@jest/globals';
import type { BatchContext } from '../../../src/core/batch-context.js';
import { NonErrorThrownError } from '../../../src/core/errors.js';
import type { ItemContext } from '../../../src/core/item-context.js';
import { deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ retry: { limit: 2, backoffMs: 100, jitter: 0 } });

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
    const endFirst = process.on('jobEnded', listener);
    const endSecond = process.on('jobEnded', listener);
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
    const finished = process.heard('jobEnded');
    const untracked = await process.distributeWork('type', 'item');
    const tracked = await process.distributeWork('type', 'item', { track: true });
    const many = await process.distributeWork('type', ['item']);
    expect(await process.findJob(untracked.id)).toBeUndefined();
    expect(await process.findJob(tracked.id)).toBe(tracked);
    expect(await process.findJob(many.id)).toBe(many);
    gate.resolve();
    await settle();
    expect(finished).toEqual([tracked, many]);
    expect(await process.findJob(tracked.id)).toBeUndefined();
    expect(new Set([untracked.id, tracked.id, many.id]).size).toBe(3);
  });
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

  it('finishes a job of nothing at once', async () => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    const finished = process.heard('jobEnded');
    for (const nothing of [[], new Set(), (async function* () {})()]) {
      const job = await process.distributeWork('type', nothing);
      expect(await job.completed).toMatchObject({ status: 'completed', total: 0 });
    }
    expect(finished).toHaveLength(3);
  });
});
