import { describe, expect, test } from '@jest/globals';
import { getEventListeners } from 'node:events';
import type { Trigger } from '../../../src/index.js';
import { deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { NAME, Numbers, pages, work } from './quote-work.js';

describe('triggers', () => {
  test('while the job runs start nothing: they are told of, and given the run under way', async () => {
    work.held = deferred();
    const skipped: Trigger[] = [];
    work.jobs.on('triggerSkipped', (trigger) => skipped.push(trigger));
    work.register(new Numbers(2));
    const first = work.jobs.processCursorData(NAME);
    expect(work.jobs.processCursorData(NAME, 'cron')).toBe(first);
    expect(skipped).toEqual([{ name: NAME, cause: 'cron' }]);
    work.held.resolve();
    await first.completed;
    const second = work.jobs.processCursorData(NAME, 'message');
    expect(second).not.toBe(first);
    await second.completed;
    expect(work.worked).toEqual([1, 2, 1, 2]);
  });

  test('end in one event each, with the cause', async () => {
    const ended: unknown[] = [];
    work.jobs.on('cursorRunEnded', ({ cause, status }) => ended.push([cause, status]));
    work.register(pages({ items: [], next: undefined }, undefined));
    await work.jobs.processCursorData(NAME, 'cron').completed;
    await settle();
    await work.run();
    await settle();
    expect(ended).toEqual([
      ['cron', 'completed'],
      ['manual', 'failed'],
    ]);
  });

  test('need a job of that name, of which there is one', () => {
    expect(() => work.jobs.processCursorData('x')).toThrow('Unknown cursor job "x"; none is registered');
    work.register(new Numbers(1));
    expect(work.jobs.cursorJobs).toEqual([NAME]);
    expect(() => work.jobs.processCursorData('x')).toThrow(`Unknown cursor job "x"; known: ${NAME}`);
    expect(() => work.register(new Numbers(1))).toThrow(
      expect.objectContaining({ code: 'DUPLICATE_CURSOR_JOB' }),
    );
    expect(() =>
      work.jobs.registerCursorJob({
        name: 'y',
        type: 'quote',
        pageSize: 1,
        source: new Numbers(1),
      }),
    ).toThrow('Unknown worker type "quote"; known types: quotes');
  });
});

describe('waitForTrigger', () => {
  test('resolves at the next trigger that starts a run, for everybody who waits', async () => {
    work.held = deferred();
    work.register(new Numbers(1));
    const waiting = [work.jobs.waitForTrigger(NAME), work.jobs.waitForTrigger(NAME)];
    const first = work.jobs.processCursorData(NAME, 'cron');
    expect(await Promise.all(waiting)).toEqual([
      { name: NAME, cause: 'cron' },
      { name: NAME, cause: 'cron' },
    ]);
    let told = false;
    const again = work.jobs.waitForTrigger(NAME).then((trigger) => {
      told = true;
      return trigger;
    });
    work.jobs.processCursorData(NAME);
    await settle();
    expect(told).toBe(false);
    work.held.resolve();
    await first.completed;
    await settle();
    work.jobs.processCursorData(NAME, 'message');
    expect(await again).toEqual({ name: NAME, cause: 'message' });
  });

  test('rejects with the reason of its signal, which then is let go of', async () => {
    work.register(new Numbers(1));
    const controller = new AbortController();
    const waiting = work.jobs.waitForTrigger(NAME, { signal: controller.signal });
    const { signal } = new AbortController();
    const other = work.jobs.waitForTrigger(NAME, { signal });
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(work.jobs.waitForTrigger(NAME, { signal: controller.signal })).rejects.toBe(reason);
    work.jobs.processCursorData(NAME);
    expect(await other).toEqual({ name: NAME, cause: 'manual' });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('rejects when the process shuts down, and from then on', async () => {
    work.register(new Numbers(1));
    const { signal } = new AbortController();
    const waiting = [work.jobs.waitForTrigger(NAME), work.jobs.waitForTrigger(NAME, { signal })];
    const told = Promise.allSettled(waiting);
    const closed = work.jobs.shutdown();
    const late = work.jobs.waitForTrigger(NAME);
    const turnedAway = {
      status: 'rejected',
      reason: expect.objectContaining({
        code: 'PROCESS_CLOSED',
        message: 'waitForTrigger(): the worker process is shutting down and takes no more work',
      }),
    };
    expect(await told).toEqual([turnedAway, turnedAway]);
    expect(await Promise.allSettled([late])).toEqual([turnedAway]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    await closed;
    expect(await Promise.allSettled([work.jobs.waitForTrigger(NAME)])).toEqual([turnedAway]);
  });

  test('rejects when the pool is shut down by itself', async () => {
    work.register(new Numbers(1));
    const told = Promise.allSettled([work.jobs.waitForTrigger(NAME)]);
    await work.jobs.pool.shutdown();
    expect(await told).toMatchObject([{ status: 'rejected', reason: { code: 'PROCESS_CLOSED' } }]);
  });

  test('forgets who waits no more, trigger or not', async () => {
    work.register(new Numbers(2));
    const { waiting } = (work.jobs as unknown as { cursors: { waiting: Map<string, Set<unknown>> } }).cursors;
    const abort = new AbortController();
    const told = work.jobs.waitForTrigger(NAME, abort);
    await settle();
    expect(waiting.get(NAME)?.size).toBe(1);
    abort.abort();
    await expect(told).rejects.toThrow('aborted');
    expect(waiting.get(NAME)?.size).toBe(0);
  });

  test.each<[unknown, string]>([
    [{ signal: 5 }, 'signal: expected an AbortSignal, got 5'],
    [null, 'options: expected an object, got null'],
  ])('refuses %p for options', async (options, problem) => {
    work.register(new Numbers(2));
    await expect(work.jobs.waitForTrigger(NAME, options as object)).rejects.toThrow(
      `waitForTrigger(): ${problem}`,
    );
  });

  test('needs a job of that name', async () => {
    await expect(work.jobs.waitForTrigger('x')).rejects.toMatchObject({ code: 'UNKNOWN_CURSOR_JOB' });
  });
});
