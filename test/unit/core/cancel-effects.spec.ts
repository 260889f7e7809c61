import { describe, expect, it } from '@jest/globals';
import { JobCancelledError } from '../../../src/core/errors.js';
import type { BatchContext } from '../../../src/core/batch-context.js';
import { deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ timeoutMs: 0, maxConcurrency: 1 });

function fails(): never {
  throw new Error('fails');
}

describe('who waits for a type', () => {
  it('is told when a cancel takes away the last items that wait', async () => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    void process.pause('type');
    const job = await process.distributeWork('type', [1, 2]);
    const complete = process.waitForCompletion('type');
    void job.cancel();
    await complete;
    expect(process.counts()).toMatchObject({ cancelled: 2, waiting: 0 });
  });

  it('is told when a cancel takes away the last item that is delayed', async () => {
    const process = start({ retry: { limit: 1, backoffMs: 60_000, jitter: 0 } });
    process.register('type', { processItem: fails });
    const job = await process.distributeWork('type', [1]);
    await settle();
    expect(process.counts()).toMatchObject({ delayed: 1 });
    const complete = process.waitForCompletion('type');
    void job.cancel();
    await complete;
    expect(process.counts()).toMatchObject({ cancelled: 1, delayed: 0 });
    expect(process.clock.now()).toBe(0);
  });

  it('is told when a cancel leaves a shutdown nothing to work off', async () => {
    const process = start({ retry: { limit: 1, backoffMs: 10_000, jitter: 0 } });
    process.register('type', { processItem: fails });
    const job = await process.distributeWork('type', [1]);
    await settle();
    const closing = process.shutdown();
    await process.clock.turn(1_000);
    void job.cancel();
    await closing;
    expect(process.clock.now()).toBe(1_000);
  });
});

describe('a signal that aborts while its work is submitted', () => {
  it('cancels the job, although the first look at a source does it', async () => {
    const process = start();
    const controller = new AbortController();
    process.register('type', { processItem: () => undefined });
    const job = await process.distributeWork(
      'type',
      (function* () {
        controller.abort();
        yield* [1, 2, 3];
      })(),
      { signal: controller.signal },
    );
    expect(job.isCancelled).toBe(true);
    expect(await job.completed).toMatchObject({ status: 'cancelled', done: 0 });
  });
});

describe('the signal of a batch', () => {
  it('names the job whose cancel aborts it, not one that has no item in it', async () => {
    const process = start();
    const gate = deferred();
    let signal: AbortSignal | undefined;
    process.register('type', {
      batchSize: 1,
      processBatch: (_, context: BatchContext) => {
        signal ??= context.signal;
        return gate.promise;
      },
    });
    const items = [Promise.resolve({ done: false, value: 'held' })];
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: () => items.pop() ?? new Promise<never>(() => undefined),
        // The source ends another job with it: that one is cancelled before this one's handlers are told.
        return: async () => {
          void other.cancel();
          return { done: true, value: undefined };
        },
      }),
    };
    const job = await process.distributeWork('type', source);
    await settle();
    const other = await process.distributeWork('type', ['waits']);
    void job.cancel();
    expect(other.isCancelled).toBe(true);
    expect(signal!.reason).toEqual(new JobCancelledError(job.id));
    gate.resolve();
    await settle();
  });
});
