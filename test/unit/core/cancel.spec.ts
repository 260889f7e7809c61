import { describe, expect, it, jest } from '@jest/globals';
import { DelayedItems } from '../../../src/core/delayed-items.js';
import type { ItemContext } from '../../../src/core/item-context.js';
import type { WorkerProcessOptionsInput } from '../../../src/core/options.js';
import { WorkQueue } from '../../../src/core/work-queue.js';
import { deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { ManualProcess } from '../../support/manual-process.js';

/** A process whose items die (`dies`), fail once (`fails once`), wait for the gate (`waits`), or complete. */
function start(options: WorkerProcessOptionsInput = {}) {
  const process = new ManualProcess({
    timeoutMs: 0,
    maxConcurrency: 1,
    retry: { retryable: ({ message }) => message === 'fails once' },
    ...(options as object),
  });
  const gate = deferred();
  const handled: string[] = [];
  process.register('type', {
    processItem: async (payload: string, { attempt }: ItemContext) => {
      handled.push(payload);
      if (payload.startsWith('waits')) await gate.promise;
      if (payload === 'fails once' && attempt > 1) return;
      if (/dies|fails/.test(payload)) throw new Error(payload);
    },
  });
  return { process, gate, handled };
}

const two = { maxConcurrency: 2, scalingThreshold: 1 };

describe('a cancelled job', () => {
  it('makes room for who waits for it', async () => {
    const { process } = start({ maxQueueSize: 2 });
    void process.pause('type');
    const job = await process.distributeWork('type', ['a', 'b']);
    const waiting = process.distributeWork('type', ['c', 'd']);
    void job.cancel();
    await waiting;
    expect(process.counts()).toMatchObject({ cancelled: 2, waiting: 2 });
    await process.end();
  });

  it('makes room for who waits for it also where little is free and nothing is taken that would make more', async () => {
    const { process } = start({ maxQueueSize: 10 });
    void process.pause('type');
    await process.distributeWork('type', ['1', '2', '3', '4', '5', '6', '7', '8', '9']);
    const job = await process.distributeWork('type', 'a', { track: true });
    const waiting = process.distributeWork('type', 'b');
    void job.cancel();
    await waiting;
    expect(process.counts()).toMatchObject({ cancelled: 1, waiting: 10 });
    await process.end();
  });

  it('that stands first in line gives its place to the next', async () => {
    const { process } = start({ maxQueueSize: 10 });
    void process.pause('type');
    const full = await process.distributeWork('type', ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10']);
    const controller = new AbortController();
    const first = process.distributeWork('type', ['a', 'b'], { signal: controller.signal });
    const second = process.distributeWork('type', 'c');
    controller.abort();
    await first;
    void full.cancel();
    await second;
    expect(process.counts()).toMatchObject({ cancelled: 10, waiting: 1 });
    await process.end();
  });
});

describe('a dead letter of a cancelled job that has not ended', () => {
  it('is an item like any other once it is redriven: it is retried, and dies again', async () => {
    const { process, gate, handled } = start({ ...two, retry: { limit: 1 } });
    const job = await process.distributeWork('type', ['dies', 'waits']);
    await process.clock.turn(5_000);
    void job.cancel();
    const ids = [`${job.id}:0`];
    expect(await process.redriveDeadLetters({ ids })).toBe(1);
    await process.clock.turn(5_000);
    expect(handled).toEqual(['dies', 'waits', 'dies', 'dies', 'dies']);
    expect(await process.deadLetters()).toMatchObject([{ id: ids[0], attempts: 2 }]);
    expect(job.isEnded).toBe(false);
    gate.resolve();
    expect(await job.completed).toMatchObject({ status: 'cancelled', done: 1, failed: 1, cancelled: 0 });
    await process.end();
  });

  it('is cancelled with its job when the cancel comes after', async () => {
    const { process, gate } = start({ ...two });
    const job = await process.distributeWork('type', ['dies', 'waits']);
    await settle();
    void process.pause('type');
    await process.redriveDeadLetters({ type: 'type' });
    void job.cancel();
    gate.resolve();
    expect(await job.completed).toMatchObject({ status: 'cancelled', done: 1, failed: 0, cancelled: 1 });
    expect(await process.deadLetters()).toEqual([]);
    await process.end();
  });

  it('does not save the other items of the job from the cancel', async () => {
    const { process, gate } = start({ ...two });
    const job = await process.distributeWork('type', ['dies', 'waits and fails']);
    await settle();
    void job.cancel();
    await process.redriveDeadLetters({ type: 'type' });
    await settle();
    gate.resolve();
    expect(await job.completed).toMatchObject({ status: 'cancelled', failed: 1, cancelled: 1 });
    expect(await process.deadLetters()).toMatchObject([{ payload: 'dies' }]);
    await process.end();
  });

  it('does not bring back what was dropped with the job: neither what waited nor what was delayed', async () => {
    const { process, gate, handled } = start();
    const neighbours = await process.distributeWork('type', ['fails once']);
    const job = await process.distributeWork('type', ['dies', 'fails once', 'waits', 'waited']);
    const others = await process.distributeWork('type', ['other']);
    await settle();
    expect(process.counts()).toMatchObject({ waiting: 2, delayed: 2, running: 1, dead: 1 });
    void job.cancel();
    await process.redriveDeadLetters({ type: 'type' });
    expect(process.counts()).toMatchObject({ waiting: 2, delayed: 1, cancelled: 2, dead: 0 });
    gate.resolve();
    await process.clock.turn(5_000);
    expect(handled).toEqual(['fails once', 'dies', 'fails once', 'waits', 'other', 'dies', 'fails once']);
    for (const { completed } of [neighbours, others]) {
      expect(await completed).toMatchObject({ status: 'completed' });
    }
    expect(await job.completed).toMatchObject({ status: 'cancelled', done: 1, failed: 1, cancelled: 2 });
    await process.end();
  });
});

describe('redriving', () => {
  it('looks at what is held once, however many cancelled jobs the letters are of', async () => {
    const { process } = start();
    const jobs = await Promise.all(
      Array.from({ length: 50 }, () => process.distributeWork('type', ['dies', 'fails once'])),
    );
    await settle();
    for (const job of jobs) void job.cancel();
    const looks = [WorkQueue.prototype, DelayedItems.prototype].map((held) =>
      jest.spyOn(held, 'takeOutDropped'),
    );
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(50);
    for (const look of looks) {
      expect(look).toHaveBeenCalledTimes(1);
      look.mockRestore();
    }
    await process.end();
  });
});

describe('retrying the items of many jobs now', () => {
  it('looks at the delayed items once, and not at all when none is theirs', async () => {
    const { process, handled } = start();
    const jobs = await Promise.all(
      Array.from({ length: 30 }, () => process.distributeWork('type', ['fails once'])),
    );
    const done = await process.distributeWork('type', ['done']);
    await settle();
    const look = jest.spyOn(DelayedItems.prototype, 'take');
    expect(await done.retryFailedItems()).toBe(0);
    expect(look).not.toHaveBeenCalled();
    expect(await process.retryFailedItemsOf([...jobs.slice(0, 20), done])).toBe(20);
    expect(look).toHaveBeenCalledTimes(1);
    look.mockRestore();
    await settle();
    expect(handled).toHaveLength(51);
    expect(process.counts()).toMatchObject({ completed: 21, delayed: 10 });
    await process.end();
  });
});
