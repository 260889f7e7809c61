/* oxlint-disable jest/no-conditional-expect -- some are refused, others not */
import { describe, expect, it } from '@jest/globals';
import { DeadLettersFullError, RejectedLetterError, UnrecoverableError } from '../../../src/core/errors.js';
import type { ItemContext } from '../../../src/core/item-context.js';
import { deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith, type ManualOptions } from '../../support/processes.js';

const start = processesWith({ retry: { limit: 2, backoffMs: 100, jitter: 0 } });

async function withDead(payloads: string[], options: ManualOptions = {}) {
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

describe('dead letters', () => {
  it('are listed oldest first, a page at a time, and frozen', async () => {
    const { process, job } = await withDead(['a', 'b', 'c', 'd', 'e']);
    const ids = async (query: object) => (await process.deadLetters(query)).map(({ id }) => id);
    const all = [0, 1, 2, 3, 4].map((index) => `${job.id}:${index}`);
    expect(await ids({})).toEqual(all);
    expect(await ids({ type: 'type', limit: 2 })).toEqual(all.slice(0, 2));
    const sequences = (await process.deadLetters()).map(({ sequence }) => sequence);
    expect(await ids({ limit: 2, after: sequences[1] })).toEqual(all.slice(2, 4));
    expect(await ids({ after: sequences[4] })).toEqual([]);
    expect(await ids({ limit: 0 })).toEqual([]);
    const [letter] = await process.deadLetters();
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
      const page = await process.deadLetters({ limit: 2, after });
      if (page.length === 0) break;
      seen.push(...page.map(({ index }) => index));
      await process.discardDeadLetters({ ids: page.map(({ id }) => id) });
      after = page.at(-1)!.sequence;
    }
    expect(seen).toEqual([0, 1, 2, 3, 4]);
    expect(await process.deadLetters()).toEqual([]);
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
    expect((await process.deadLetters()).map(({ type }) => type)).toEqual(['two', 'one', 'two']);
    expect(process.totalItemsProcessed).toBe(3);
    await process.pause('two');
    await process.redriveDeadLetters({ type: 'two' });
    expect(process.totalItemsProcessed).toBe(3);
  });

  it('run again from attempt 1 when redriven, and their job counts follow', async () => {
    const { process, job, attempts, mend } = await withDead(['a', 'b', 'c']);
    const result = await job.completed;
    expect(result).toMatchObject({ done: 0, failed: 3 });
    attempts.length = 0;
    mend();
    const ids = [`${job.id}:2`, `${job.id}:0`, `${job.id}:0`, 'unknown'];
    await process.pause('type');
    expect(await process.redriveDeadLetters({ ids })).toBe(2);
    expect(job.progress()).toMatchObject({ done: 0, failed: 1 });
    expect(process.counts()).toMatchObject({ dead: 1, waiting: 2 });
    await process.resume('type');
    await settle();
    expect(attempts).toEqual([
      ['c', 1],
      ['a', 1],
    ]);
    expect(job.progress()).toMatchObject({ done: 2, failed: 1, accepted: 3 });
    expect(await job.completed).toBe(result);
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(1);
    await settle();
    expect(job.progress()).toMatchObject({ done: 3, failed: 0 });
    expect(await process.deadLetters()).toEqual([]);
  });

  it('tell the first end of a job that was asked for its result after a redrive', async () => {
    const process = start({ retry: { limit: 0 } });
    process.register('type', { processItem: () => Promise.reject(new Error('no')) });
    const job = await process.distributeWork('type', 'item');
    await settle();
    await process.redriveDeadLetters({ type: 'type' });
    expect(await job.completed).toMatchObject({ status: 'completed-with-failures', failed: 1 });
    await settle();
    expect(job.progress()).toMatchObject({ failed: 1, done: 0 });
  });

  it('stay dead letters, not cancelled, when they fail again after their job was cancelled', async () => {
    const { process, job } = await withDead(['a', 'b']);
    const other = await process.distributeWork('type', ['c']);
    await process.clock.turn(5);
    void other.cancel();
    await process.clock.turn(100);
    expect(process.counts()).toMatchObject({ dead: 2, cancelled: 1 });
    void job.cancel();
    await process.redriveDeadLetters({ type: 'type' });
    await process.clock.turn(1_000);
    expect(await process.deadLetters()).toHaveLength(2);
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
    expect(await process.deadLetters()).toHaveLength(1);
    void job.cancel();
    gate.reject(new Error('cancelled'));
    expect(await job.completed).toMatchObject({ status: 'cancelled', failed: 1, cancelled: 1 });
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(1);
    await process.clock.turn(100);
    expect(await process.deadLetters()).toMatchObject([{ payload: 'bad', attempts: 2 }]);
    expect(job.progress()).toMatchObject({ failed: 1, cancelled: 1 });
  });

  it('are forgotten for good when discarded', async () => {
    const { process, job } = await withDead(['a', 'b', 'c']);
    expect(await process.discardDeadLetters({ ids: [`${job.id}:1`, `${job.id}:1`, 'unknown'] })).toBe(1);
    expect((await process.deadLetters()).map(({ payload }) => payload)).toEqual(['a', 'c']);
    expect(await process.discardDeadLetters({ type: 'type' })).toBe(2);
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(0);
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
    await process.discardDeadLetters({ ids: [(await process.deadLetters())[0]!.id] });
    await process.clock.turn(1_000);
    expect(process.counts()).toMatchObject({ dead: 3, waiting: 1 });
    await process.redriveDeadLetters({ type: 'type' });
    await process.clock.turn(1_000);
    expect(await process.deadLetters()).toHaveLength(2);
    expect(resumed).toEqual([
      { type: 'type', reason: 'dead-letters-full' },
      { type: 'type', reason: 'dead-letters-full' },
    ]);
    expect(paused).toEqual(resumed);
    void process.resume('type');
    await process.clock.turn(1_000);
    expect(await process.deadLetters()).toHaveLength(2);
  });

  it('are made of items that were refused before their first attempt', async () => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    const job = await process.rejectItem('type', { bad: true }, new Error('no such field'));
    expect(await job.completed).toMatchObject({ status: 'completed-with-failures', failed: 1, total: 1 });
    expect(await process.deadLetters()).toMatchObject([
      { id: `${job.id}:0`, reason: 'rejected', attempts: 0 },
    ]);
  });

  it('of refused items are never redriven: their payloads did not pass the check', async () => {
    const process = start({ retry: { limit: 0 } });
    const worked: unknown[] = [];
    process.register('type', {
      processItem: (payload) => {
        if (worked.push(payload) === 1) throw new Error('dies once');
      },
    });
    const refused = await process.rejectItem('type', 'unchecked', new Error('no such field'));
    const checked = await process.distributeWork('type', 'checked');
    await settle();
    const ids = [`${checked.id}:0`, `${refused.id}:0`];
    await expect(process.redriveDeadLetters({ ids })).rejects.toThrow(RejectedLetterError);
    expect(await process.deadLetters()).toHaveLength(2);
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(1);
    await settle();
    expect(worked).toEqual(['checked', 'checked']);
    expect(await process.deadLetters()).toMatchObject([{ reason: 'rejected' }]);
    expect(await process.discardDeadLetters({ ids })).toBe(1);
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
    const [first, second] = (await process.deadLetters({ type: 'one' })).map(({ id }) => id);
    const [other] = (await process.deadLetters({ type: 'two' })).map(({ id }) => id);
    expect(await process.discardDeadLetters({ type: 'one', ids: [] })).toBe(0);
    expect(await process.redriveDeadLetters({ type: 'one', ids: [other!] })).toBe(0);
    expect(await process.discardDeadLetters({ type: 'one', ids: [first!, other!] })).toBe(1);
    expect(await process.redriveDeadLetters({ ids: [second!, other!] })).toBe(2);
    await settle();
    expect(await process.deadLetters({ type: 'one' })).toHaveLength(2);
    expect(await process.discardDeadLetters({ type: 'one' })).toBe(2);
    expect(await process.deadLetters()).toMatchObject([{ type: 'two', payload: 4 }]);
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
    await expect(process.discardDeadLetters(selection as { type: string })).rejects.toThrow(problem);
    await expect(process.redriveDeadLetters(selection as { type: string })).rejects.toThrow(problem);
    expect(await process.deadLetters()).toHaveLength(1);
  });

  it('are refused where they would be one at once when as many are kept as may be', async () => {
    const process = start({ maxDeadLetters: 10 });
    process.register('type', { processItem: () => undefined });
    let refused = 0;
    for (let round = 0; round < 1_000; round++) {
      try {
        await process.rejectItem('type', round, new Error('bad'));
      } catch (error) {
        expect(error).toBeInstanceOf(DeadLettersFullError);
        refused++;
      }
    }
    expect(refused).toBe(990);
    expect(await process.deadLetters({ limit: 2_000 })).toHaveLength(10);
    expect(process.counts()).toMatchObject({ submitted: 10, dead: 10 });
    await process.discardDeadLetters({ type: 'type' });
    await process.rejectItem('type', 'again', new Error('bad'));
    expect(await process.deadLetters()).toHaveLength(1);
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
    void process.pause('type');
    const rest = await process.distributeWork('type', ['waits']);
    void job.cancel();
    void rest.cancel();
    expect(await job.completed).toMatchObject({ status: 'cancelled', failed: 1, cancelled: 1 });
    expect(await process.redriveDeadLetters({ ids: [`${job.id}:0`] })).toBe(1);
    void process.resume('type');
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
