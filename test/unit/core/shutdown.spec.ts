import { describe, expect, it, jest } from '@jest/globals';
import { RetryLaterError, ShutdownError } from '../../../src/core/errors.js';
import type { UnfinishedItem } from '../../../src/core/events.js';
import type { ItemContext } from '../../../src/core/item-context.js';
import { Worker } from '../../../src/core/worker.js';
import { deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { start } from './ending-process.js';

describe('shutdown', () => {
  it('works off what is queued, retries included, and takes no longer than that', async () => {
    const { process, unfinished, handled } = start({ retry: { limit: 1, backoffMs: 300, jitter: 0 } });
    const job = await process.distributeWork('type', ['a', 'fails once', 'b']);
    const closing = process.shutdown();
    await process.clock.turn(290);
    expect(process.counts()).toMatchObject({ completed: 2, delayed: 1 });
    await process.clock.turn(20);
    await closing;
    expect(handled).toEqual(['a', 'fails once', 'b', 'fails once']);
    expect(await job.completed).toMatchObject({ status: 'completed', done: 3 });
    expect(unfinished).toEqual([]);
    expect(process.clock.timers).toBe(0);
    expect(process.pool.workerCount()).toBe(0);
  });

  it('waits for workers that give back what they took, as long as there is time', async () => {
    const gate = deferred();
    const { process } = start({ shutdownTimeoutMs: 5_000, abortGraceMs: 0 });
    let stopped = false;
    class Holder extends Worker<string> {
      override processItem() {
        return undefined;
      }
      override async onStop() {
        await gate.promise;
        stopped = true;
      }
    }
    process.register('holder', { worker: Holder });
    await process.distributeWork('holder', 'item');
    await settle();
    let isOver = false;
    const closing = process.shutdown().then(() => (isOver = true));
    await process.clock.turn(1_500);
    expect(isOver).toBe(false);
    gate.resolve();
    await closing;
    expect(stopped).toBe(true);
    expect(process.clock.now()).toBe(1_500);
  });

  it('ends although delays were no numbers', async () => {
    class Broken extends RetryLaterError {
      override readonly delayMs = NaN;
    }
    const { process, unfinished } = start({ retry: { limit: 9, backoffMs: 10_000 }, random: () => NaN });
    process.register('later', {
      processItem: () => {
        throw new Broken(0);
      },
    });
    await process.distributeWork('later', [1, 2]);
    await settle();
    expect(process.counts('later')).toMatchObject({ delayed: 2 });
    await process.shutdown();
    expect(unfinished).toHaveLength(2);
  });

  it('resolves without turning the clock when there is nothing to do', async () => {
    const { process } = start();
    await process.distributeWork('type', ['a']);
    await settle();
    await process.shutdown();
    expect(process.clock.timers).toBe(0);
  });

  it('aborts what runs when its time is over, and hands it back with what waits, once each', async () => {
    const { process, unfinished } = start({ maxConcurrency: 3, scalingThreshold: 1 });
    const job = await process.distributeWork('type', [
      'heeds its signal',
      'saves itself',
      'hangs',
      'rest',
      'rest',
    ]);
    const closing = process.shutdown();
    await process.clock.turn(999);
    expect(process.counts()).toMatchObject({ running: 3, waiting: 2 });
    await process.clock.turn(1);
    // What failed by the abort waits like the rest, until nothing runs.
    expect(process.counts()).toMatchObject({ running: 1, completed: 1, waiting: 3 });
    await process.clock.turn(100);
    await closing;
    const item = (index: number, payload: string) => ({
      id: `${job.id}:${index}`,
      type: 'type',
      jobId: job.id,
      index,
      payload,
      attempts: 0,
    });
    expect(unfinished).toEqual([
      item(0, 'heeds its signal'),
      item(2, 'hangs'),
      item(3, 'rest'),
      item(4, 'rest'),
    ]);
    expect(await job.completed).toMatchObject({ status: 'interrupted', done: 1, handedBack: 4 });
    expect(process.clock.timers).toBe(0);
    expect(process.counts()).toMatchObject({
      running: 0,
      waiting: 0,
      handedBack: 4,
      dead: 0,
      failedAttempts: 0,
    });
  });

  it('aborts by a ShutdownError', async () => {
    const { process } = start();
    const reasons: unknown[] = [];
    process.register('other', {
      processItem: (_: unknown, { signal }: ItemContext) =>
        new Promise<void>((resolve) =>
          signal.addEventListener('abort', () => {
            reasons.push(signal.reason);
            resolve();
          }),
        ),
    });
    process.offer('other', 1);
    await process.end();
    expect(reasons).toEqual([expect.any(ShutdownError)]);
  });

  it('ignores what a handler does that was left behind', async () => {
    const { process, unfinished, gate } = start();
    await process.distributeWork('type', 'waits');
    await process.end();
    expect(unfinished).toHaveLength(1);
    const before = process.counts();
    gate.resolve();
    await settle();
    expect(process.counts()).toEqual(before);
    expect(unfinished).toHaveLength(1);
  });

  it('does not wait for retries that are due after its deadline', async () => {
    const { process, unfinished } = start({ retry: { limit: 1, backoffMs: 5_000, jitter: 0 } });
    await process.distributeWork('type', ['fails', 'a']);
    await settle();
    await process.shutdown();
    expect(process.clock.now()).toBe(0);
    expect(unfinished).toMatchObject([{ payload: 'fails', attempts: 1 }]);
  });

  it('hands back at once what a paused type holds, its retries included', async () => {
    const { process, unfinished } = start({ retry: { limit: 1, backoffMs: 300, jitter: 0 } });
    await process.distributeWork('type', ['fails', 'a']);
    await settle();
    void process.pause('type');
    await process.distributeWork('type', ['b', 'c']);
    await process.shutdown();
    expect(process.clock.now()).toBe(0);
    expect(unfinished.map(({ payload }) => payload)).toEqual(['b', 'c', 'fails']);
  });

  it('waits no longer for a type that is paused meanwhile', async () => {
    const { process, unfinished } = start({ retry: { limit: 1, backoffMs: 500, jitter: 0 } });
    await process.distributeWork('type', ['fails']);
    await settle();
    const closing = process.shutdown();
    await process.clock.turn(100);
    void process.pause('type');
    await closing;
    expect(process.clock.now()).toBe(100);
    expect(unfinished).toMatchObject([{ payload: 'fails', attempts: 1 }]);
  });

  it('only lets running items finish without drainOnShutdown', async () => {
    const { process, unfinished, gate, handled } = start({ drainOnShutdown: false });
    const job = await process.distributeWork('type', ['waits', 'a', 'b']);
    await settle();
    const closing = process.shutdown();
    await process.clock.turn(500);
    gate.resolve();
    await settle();
    await closing;
    expect(handled).toEqual(['waits']);
    expect(unfinished.map(({ payload }) => payload)).toEqual(['a', 'b']);
    expect(await job.completed).toMatchObject({ done: 1, handedBack: 2 });
    expect(process.clock.now()).toBe(500);
  });

  it('keeps within its time whatever handlers and sources do', async () => {
    const { process } = start({ shutdownTimeoutMs: 1_000, abortGraceMs: 100 });
    await process.distributeWork('type', ['hangs', 'hangs']);
    await process.distributeWork(
      'type',
      (async function* () {
        yield 'a';
        await new Promise(() => undefined);
      })(),
    );
    await settle();
    let isClosed = false;
    const closing = process.shutdown().then(() => (isClosed = true));
    await process.clock.turn(1_099);
    expect(isClosed).toBe(false);
    await process.clock.turn(1);
    expect(isClosed).toBe(true);
    await closing;
  });

  it('aborts at once with a time of 0, and lets go at once with a grace of 0', async () => {
    const { process, unfinished } = start({ shutdownTimeoutMs: 0, abortGraceMs: 0 });
    await process.distributeWork('type', ['hangs', 'a']);
    await settle();
    await process.shutdown();
    expect(unfinished.map(({ payload }) => payload)).toEqual(['hangs', 'a']);
    expect(process.clock.timers).toBe(0);
  });

  it('happens once, also when it is asked for again by what it calls', async () => {
    const onUnfinished = jest.fn<(items: readonly UnfinishedItem[]) => void>();
    const { process } = start({ drainOnShutdown: false, onUnfinished });
    const seen: Promise<void>[] = [];
    process.on('scaled', () => seen.push(process.shutdown()));
    await process.distributeWork('type', {
      [Symbol.iterator]: () => ({
        next: () => ({ done: false, value: 'a' }),
        return: () => {
          seen.push(process.shutdown());
          return { done: true, value: undefined };
        },
      }),
    });
    const closing = process.shutdown();
    expect(process.isClosed).toBe(true);
    await process.clock.turn(5_000);
    await closing;
    expect(seen.length).toBeGreaterThanOrEqual(1);
    for (const promise of seen) expect(promise).toBe(closing);
    expect(process.shutdown()).toBe(closing);
    expect(onUnfinished).toHaveBeenCalledTimes(1);
    const items = onUnfinished.mock.calls[0]![0];
    expect(new Set(items.map(({ id }) => id)).size).toBe(items.length);
  });

  it('starts no worker again, whoever asks', async () => {
    const { process, gate } = start({ drainOnShutdown: false, maxConcurrency: 3, scalingThreshold: 1 });
    await process.distributeWork('type', ['waits', 'waits', 'a', 'b', 'c', 'd', 'e']);
    await settle();
    const closing = process.shutdown();
    await settle();
    const handledBefore = process.counts().completed;
    process.adjustWorkerCount();
    expect(process.pool.addWorker('type')).toBe(false);
    expect(process.pool.removeWorker('type')).toBe(false);
    process.adjustWorkerCount();
    gate.resolve();
    await settle();
    await closing;
    expect(process.counts().completed).toBe(handledBefore + 2);
    expect(process.clock.now()).toBe(0);
    expect(process.pool.workerCount()).toBe(0);
  });

  it('lets waitForCompletion resolve', async () => {
    const { process } = start();
    void process.pause('type');
    await process.distributeWork('type', ['a', 'b']);
    const completion = process.waitForCompletion();
    await process.shutdown();
    await expect(completion).resolves.toBeUndefined();
  });

  it('lets it resolve also when a source never answers', async () => {
    const { process } = start();
    const endless = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) };
    const job = await process.distributeWork('type', endless);
    const completion = process.waitForCompletion();
    await process.end();
    await expect(completion).resolves.toBeUndefined();
    expect(await job.completed).toMatchObject({ status: 'interrupted', total: 0 });
  });
});
