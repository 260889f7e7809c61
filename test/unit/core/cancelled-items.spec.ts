/* oxlint-disable jest/no-conditional-expect -- what is checked depends on the item */
import { describe, expect, it } from '@jest/globals';
import { JobCancelledError } from '../../../src/core/errors.js';
import type { ItemContext } from '../../../src/core/item-context.js';
import type { Job } from '../../../src/core/job.js';
import { deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ retry: { limit: 2, backoffMs: 100, jitter: 0 } });

describe('an item handler', () => {
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
    void job.cancel();
    void job.cancel();
    expect(await job.completed).toEqual({
      accepted: 5,
      total: 5,
      done: 1,
      failed: 0,
      cancelled: 4,
      handedBack: 0,
      duplicates: 0,
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
    void job.cancel();
    gate.resolve();
    await settle();
    expect(aborted).toEqual([true, false]);
  });

  it('may cancel its own job, which drops the rest', async () => {
    const process = start({ maxConcurrency: 1, autoStart: false });
    const handled: number[] = [];
    process.register('type', {
      processItem: (payload: number) => {
        handled.push(payload);
        if (payload === 1) void job.cancel();
      },
    });
    const job = await process.distributeWork('type', [0, 1, 2, 3]);
    await process.start();
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
    void job.cancel();
    expect(process.counts()).toMatchObject({ delayed: 0, cancelled: 3 });
    await process.waitForCompletion();
    await process.shutdown();
    expect(process.clock.now()).toBe(0);
  });

  it('leaves a finished job as it is when it is cancelled', async () => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    const job = await process.distributeWork('type', ['a']);
    await settle();
    void job.cancel();
    expect(job.isCancelled).toBe(false);
    expect(await job.completed).toMatchObject({ status: 'completed', done: 1, cancelled: 0 });
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
    let job: Job;
    process.on('retry', () => {
      const { completed, dead, cancelled, handedBack, waiting, delayed, running, submitted } =
        process.counts();
      sums.push(completed + dead + cancelled + handedBack + waiting + delayed + running - submitted);
      void job.cancel();
    });
    for (let round = 0; round < 3; round++) {
      await process.pause('type');
      job = await process.distributeWork('type', ['item']);
      await process.resume('type');
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
          void job.cancel();
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
