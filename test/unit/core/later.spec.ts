import { describe, expect, it } from '@jest/globals';
import { ProcessClosedError, QueueFullError } from '../../../src/core/errors.js';
import type { UnfinishedItem } from '../../../src/core/events.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ timeoutMs: 0, maxConcurrency: 1, shutdownTimeoutMs: 0 });

function startWith(options: Parameters<typeof start>[0] = {}) {
  const process = start(options);
  const started: [unknown, number][] = [];
  process.register('type', {
    processItem: (payload: unknown, { attempt }) => {
      started.push([payload, process.clock.now()]);
      if (payload === 'fails once' && attempt === 1) throw new Error('once');
    },
  });
  return { process, started };
}

describe('work that is submitted for later', () => {
  it('by delayMs is started then, never before and 10 ms later at the most, in its order', async () => {
    const { process, started } = startWith();
    const job = await process.distributeWork('type', ['a', 'b'], { delayMs: 1_005 });
    const one = await process.distributeWork('type', 'c', { delayMs: 20, track: true });
    await process.distributeWork('type', ['now']);
    expect(process.counts('type')).toMatchObject({ submitted: 4, delayed: 3, waiting: 1 });
    await process.clock.turn(1_004);
    expect(started).toEqual([
      ['now', 0],
      ['c', 20],
    ]);
    await process.clock.turn(6);
    expect(started.slice(2)).toEqual([
      ['a', 1_010],
      ['b', 1_010],
    ]);
    expect(await job.completed).toMatchObject({ status: 'completed', done: 2 });
    expect(await one.completed).toMatchObject({ done: 1 });
  });

  it('by runAt is started at that moment of the machine; what lies in the past is now', async () => {
    const { process, started } = startWith();
    const at = (ms: number) => new Date(process.clock.wallNow() + ms);
    await process.distributeWork('type', 'a', { runAt: at(500) });
    await process.distributeWork('type', 'b', { runAt: at(-500) });
    await process.clock.turn(499);
    expect(started).toEqual([['b', 0]]);
    await process.clock.turn(1);
    expect(started.at(-1)).toEqual(['a', 500]);
  });

  it('counts the moment from the submission, for a source that is read item by item too', async () => {
    const { process, started } = startWith();
    const source = (async function* () {
      yield 'early';
      await new Promise<void>((resolve) => process.clock.setTimer(resolve, 300));
      yield 'late';
    })();
    await process.distributeWork('type', source, { delayMs: 100 });
    await process.clock.turn(400);
    expect(started).toEqual([
      ['early', 100],
      ['late', 300],
    ]);
  });

  it('is not run before by retryFailedItems, which runs what awaits a retry', async () => {
    const { process, started } = startWith({ retry: { limit: 1, backoffMs: 500, jitter: 0 } });
    const job = await process.distributeWork('type', ['fails once'], { delayMs: 100 });
    const later = await process.distributeWork('type', ['later'], { delayMs: 200 });
    await process.clock.turn(100);
    expect(process.counts('type')).toMatchObject({ delayed: 2, failedAttempts: 1 });
    expect([
      await process.retryFailedItems(),
      await later.retryFailedItems(),
      await job.retryFailedItems(),
    ]).toEqual([1, 0, 0]);
    await settle();
    expect(started.map(([payload]) => payload)).toEqual(['fails once', 'fails once']);
    await process.clock.turn(100);
    expect(started.at(-1)).toEqual(['later', 200]);
  });

  it('takes a place in the queue from the start, and waits for one like other work', async () => {
    const { process } = startWith({ maxQueueSize: 2, maxWaitingProducers: 1 });
    await process.distributeWork('type', ['a', 'b'], { delayMs: 100 });
    expect(process.offer('type', 'c')).toBe(false);
    const waiting = process.distributeWork('type', ['c'], { delayMs: 50 });
    await expect(process.distributeWork('type', 'd', { delayMs: 50 })).rejects.toThrow(QueueFullError);
    await process.clock.turn(100);
    await waiting;
    await process.waitForCompletion();
    expect(process.counts('type')).toMatchObject({ completed: 3, delayed: 0 });
  });

  it('can be cancelled, and leaves no timer', async () => {
    const { process, started } = startWith();
    const job = await process.distributeWork('type', ['a', 'b'], { delayMs: 100 });
    void job.cancel();
    expect(await job.completed).toMatchObject({ status: 'cancelled', cancelled: 2 });
    expect(process.clock.timers).toBe(0);
    await process.clock.turn(200);
    expect(started).toEqual([]);
  });

  it('is worked off by a shutdown that lasts until it is due, and handed back by one that does not', async () => {
    const unfinished: UnfinishedItem[] = [];
    const { process, started } = startWith({
      shutdownTimeoutMs: 1_000,
      onUnfinished: (items: readonly UnfinishedItem[]) => void unfinished.push(...items),
    });
    await process.distributeWork('type', 'soon', { delayMs: 900 });
    await process.distributeWork('type', 'tomorrow', { delayMs: 86_400_000 });
    const closing = process.shutdown();
    await expect(process.distributeWork('type', 'x', { delayMs: 1 })).rejects.toThrow(ProcessClosedError);
    await process.clock.turn(900);
    await closing;
    expect(started).toEqual([['soon', 900]]);
    expect(unfinished).toMatchObject([{ payload: 'tomorrow', attempts: 0 }]);
    expect(process.clock.timers).toBe(0);
  });

  it('is waited for beyond what one timer lasts', async () => {
    const { process, started } = startWith();
    const days = 24 * 3_600_000;
    await process.distributeWork('type', 'a', { delayMs: 60 * days });
    await process.clock.turn(60 * days - 1);
    expect(started).toEqual([]);
    await process.clock.turn(1);
    expect(started).toEqual([['a', 60 * days]]);
  });

  it.each<[object, string]>([
    [{ delayMs: -1 }, 'delayMs: expected a number of 0 or more, got -1'],
    [{ delayMs: NaN }, 'delayMs: expected a number of 0 or more, got NaN'],
    [{ runAt: 5 }, 'runAt: expected a Date that is valid, got 5'],
    [{ runAt: new Date('no') }, 'runAt: expected a Date that is valid, got '],
    [{ runAt: new Date(), delayMs: 1 }, 'runAt: expected no delayMs beside it'],
  ])('is refused by %p', async (options, text) => {
    const { process } = startWith();
    await expect(process.distributeWork('type', 1, options)).rejects.toThrow(`distributeWork(): ${text}`);
    expect(process.counts('type')).toMatchObject({ submitted: 0 });
  });
});
