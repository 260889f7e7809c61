import { beforeEach, describe, expect, jest, test } from '@jest/globals';
import { getEventListeners } from 'node:events';
import {
  CursorCallTimeLimitError,
  type CursorRun,
  type CursorRunResult,
  type CursorSource,
  type Page,
} from '../../../src/index.js';
import { deferred, type Deferred } from '../../support/deferred.js';
import { ManualClock, settle } from '../../support/manual-clock.js';
import { NAME, never, Numbers, silent, work } from './quote-work.js';

describe('the time limit of a call', () => {
  let clock: ManualClock;
  beforeEach(async () => {
    clock = new ManualClock();
    await work.restart({ cursorCache: work.cache, process: { clock, idleTimeoutMs: 0 } });
  });

  test('ends the run as failed, with the job and the limit, and is the reason of the signal', async () => {
    const source = new Numbers(4);
    source.silentAfter = 2;
    work.register(source);
    let ended: CursorRunResult | undefined;
    void work.run().then((result) => (ended = result));
    await clock.turn(59_999);
    expect(ended).toBeUndefined();
    expect(source.signal!.aborted).toBe(false);
    await clock.turn(1);
    expect(ended).toMatchObject({ status: 'failed', pages: 1, done: 2 });
    expect(ended!.error).toBeInstanceOf(CursorCallTimeLimitError);
    expect(ended!.error).toMatchObject({
      code: 'CURSOR_CALL_TIME_LIMIT',
      jobName: NAME,
      call: 'fetchPage',
      limitMs: 60_000,
      message: 'Cursor job "daily quotes/€ \\"x\\"": fetchPage passed its time limit, callTimeoutMs (60000)',
    });
    expect(source.signal!.reason).toBe(ended!.error);
    expect(await work.cache.load(NAME)).toBe(2);
    expect(clock.timers).toBe(0);
  });

  test('leaves the page that is worked on to its end', async () => {
    work.gates.set(2, deferred());
    const source = new Numbers(4);
    source.silentAfter = 2;
    work.register(source, { callTimeoutMs: 100 });
    const ran = work.run();
    await clock.turn(100);
    work.gates.get(2)!.resolve();
    expect(await ran).toMatchObject({ status: 'failed', pages: 1, error: { limitMs: 100 } });
    expect(await work.cache.load(NAME)).toBe(2);
  });

  test.each<[string, (answer: Deferred<Page<number, number>>) => void]>([
    ['an answer', ({ resolve }) => resolve({ items: [1], next: undefined })],
    ['a failure', ({ reject }) => reject(new Error('too late'))],
  ])('has %s ignored that comes later', async (_, give) => {
    const unhandled = jest.fn();
    process.on('unhandledRejection', unhandled);
    const answer = deferred<Page<number, number>>();
    work.register({ fetchPage: () => answer.promise }, { callTimeoutMs: 100 });
    const ran = work.run();
    await clock.turn(100);
    give(answer);
    await settle();
    expect(await ran).toMatchObject({ status: 'failed', items: 0 });
    expect(unhandled).not.toHaveBeenCalled();
    process.off('unhandledRejection', unhandled);
    expect(work.worked).toEqual([]);
  });

  test('begins anew with each page, and leaves nothing behind', async () => {
    const answers = [deferred(), deferred()];
    const source = new Numbers(4);
    const signals: AbortSignal[] = [];
    work.register(
      {
        fetchPage: async (cursor: number | undefined, limit, signal) => {
          signals.push(signal);
          await answers[signals.length - 1]!.promise;
          return source.fetchPage(cursor, limit, signal);
        },
      },
      { callTimeoutMs: 100 },
    );
    const ran = work.run();
    for (const { resolve } of answers) {
      await clock.turn(99);
      resolve();
    }
    expect(await ran).toMatchObject({ status: 'completed', done: 4 });
    await clock.turn(1_000);
    expect(signals.map((signal) => signal.aborted)).toEqual([false, false]);
    expect(signals.flatMap((signal) => getEventListeners(signal, 'abort'))).toHaveLength(0);
  });

  test('is none when it is 0', async () => {
    work.register(silent, { callTimeoutMs: 0 });
    const started = work.jobs.processCursorData(NAME);
    await clock.turn(86_400_000);
    expect(clock.timers).toBe(0);
    started.cancel();
    expect(await started.completed).toMatchObject({ status: 'cancelled' });
  });

  test.each<['load' | 'save' | 'clear', number]>([
    ['load', 0],
    ['save', 1],
    ['clear', 2],
  ])('of the cursor cache ends the run as failed: %s', async (call, pagesBefore) => {
    const answer = deferred();
    jest.spyOn(work.cache, call).mockImplementationOnce(() => answer.promise);
    work.register(new Numbers(4));
    const started = work.jobs.processCursorData(NAME);
    await clock.turn(59_999);
    expect(work.jobs.processCursorData(NAME)).toBe(started);
    await clock.turn(1);
    expect(await started.completed).toMatchObject({
      status: 'failed',
      pages: pagesBefore,
      error: { code: 'CURSOR_CALL_TIME_LIMIT', call, limitMs: 60_000 },
    });
    await clock.turn(0);
    expect(clock.timers).toBe(0);
    answer.resolve();
    await settle();
    expect(await work.run()).toMatchObject({ status: 'completed' });
  });

  test('of onRunCompleted ends the run as failed, and the next one repeats the last page', async () => {
    const source = new Numbers(4);
    const told = jest.spyOn(source, 'onRunCompleted').mockImplementationOnce(never);
    work.register(source);
    const started = work.jobs.processCursorData(NAME);
    await clock.turn(60_000);
    const { status, pages: read, error } = await started.completed;
    expect([status, read]).toEqual(['failed', 2]);
    expect(error).toMatchObject({ code: 'CURSOR_CALL_TIME_LIMIT', call: 'onRunCompleted' });
    const [, signal] = told.mock.calls[0] as unknown as [CursorRunResult, AbortSignal];
    expect(signal.reason).toBe(error);
    expect(await work.cache.load(NAME)).toBe(2);
    expect(await work.run()).toMatchObject({ status: 'completed', pages: 1 });
    expect(told).toHaveBeenCalledTimes(2);
  });
});

async function startedRun(source: CursorSource, callTimeoutMs?: number): Promise<CursorRun> {
  work.register(source, { callTimeoutMs });
  const started = work.jobs.processCursorData(NAME);
  await settle();
  return started;
}

describe('a write of the checkpoint that has no answer', () => {
  let clock: ManualClock;
  /** The answers of the cache to `save`, in order. */
  let answers: Deferred[];
  beforeEach(async () => {
    clock = new ManualClock();
    await work.restart({
      cursorCache: work.cache,
      process: { clock, idleTimeoutMs: 0, shutdownTimeoutMs: 20_000 },
    });
    answers = [];
    const save = work.cache.save.bind(work.cache);
    work.cache.save = async (name, checkpoint) => {
      answers.push(deferred());
      await answers.at(-1)!.promise;
      await save(name, checkpoint);
    };
  });

  /** Whether `waited` has settled, before and after the clock is turned by the last millisecond of `durationMs`. */
  async function endedWithin(durationMs: number, waited: Promise<unknown>): Promise<boolean[]> {
    let isEnded = false;
    void waited.then(() => (isEnded = true));
    await clock.turn(durationMs - 1);
    const before = isEnded;
    await clock.turn(1);
    return [before, isEnded];
  }

  test.each(['cancel', 'interrupt'] as const)('holds a stopped run up for 5 seconds: %s', async (stop) => {
    const started = await startedRun(new Numbers(4));
    await clock.turn(10_000);
    started[stop]();
    expect(await endedWithin(5_000, started.completed)).toEqual([false, true]);
    expect(await started.completed).toMatchObject({
      status: 'failed',
      pages: 1,
      error: {
        call: 'save',
        limitMs: 5_000,
        message: expect.stringMatching(/: save passed the time limit of a run that was stopped \(5000 ms\)$/),
      },
    });
    expect(clock.timers).toBe(0);
  });

  test('holds a stopped run up no longer than callTimeoutMs', async () => {
    const started = await startedRun(new Numbers(4), 3_000);
    await clock.turn(1_000);
    started.interrupt();
    expect(await endedWithin(2_000, started.completed)).toEqual([false, true]);
    expect(await started.completed).toMatchObject({ error: { limitMs: 3_000 } });
  });

  test.each([
    ['cancel', 'cancelled'],
    ['interrupt', 'interrupted'],
  ] as const)('is waited for by a run that is stopped, and is not lost: %s', async (stop, status) => {
    const started = await startedRun(new Numbers(4));
    started[stop]();
    await clock.turn(4_999);
    answers[0]!.resolve();
    expect(await started.completed).toMatchObject({ status, pages: 1, error: undefined });
    expect(await work.cache.load(NAME)).toBe(2);
    expect(clock.timers).toBe(0);
  });

  test('also has 5 seconds when it is begun after the stop', async () => {
    work.gates.set(2, deferred());
    const started = await startedRun(new Numbers(4));
    started.interrupt();
    await clock.turn(10_000);
    work.gates.get(2)!.resolve();
    await settle();
    expect(await endedWithin(5_000, started.completed)).toEqual([false, true]);
  });

  test('costs a shutdown 5 seconds, and not all of its time', async () => {
    await startedRun(new Numbers(4));
    expect(await endedWithin(5_000, work.jobs.shutdown())).toEqual([false, true]);
  });

  test('is never overtaken: the next run begins where it leads to, once it has come', async () => {
    const source = new Numbers(6);
    const started = await startedRun(source);
    started.cancel();
    await clock.turn(5_000);
    const ran = work.run();
    await settle();
    // That of the cancelled run, and the page ahead.
    expect(source.fetched).toEqual([undefined, 2]);
    answers[0]!.resolve();
    await settle();
    answers[1]!.resolve();
    expect(await ran).toMatchObject({ status: 'completed', pages: 2 });
    expect(work.worked).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('fails the next run as well when it does not come in its time either', async () => {
    const source = new Numbers(4);
    const started = await startedRun(source);
    started.cancel();
    await clock.turn(5_000);
    const ran = work.run();
    await clock.turn(60_000);
    expect(await ran).toMatchObject({ status: 'failed', pages: 0, error: { call: 'save', limitMs: 60_000 } });
    expect(source.fetched).toEqual([undefined, 2]);
    answers[0]!.reject(new Error('connection lost'));
    await settle();
    const again = work.run();
    await settle();
    answers[1]!.resolve();
    expect(await again).toMatchObject({ status: 'completed', pages: 2 });
  });

  test('does not hold up the stop of a run that waits for it', async () => {
    const started = await startedRun(new Numbers(4));
    started.cancel();
    await clock.turn(5_000);
    const waiting = work.jobs.processCursorData(NAME);
    await settle();
    waiting.cancel();
    expect(await waiting.completed).toMatchObject({ status: 'cancelled', pages: 0 });
  });
});

test('onRunCompleted that has no answer holds a shutdown up like a handler: for all of its time', async () => {
  const clock = new ManualClock();
  await work.restart({ process: { clock, shutdownTimeoutMs: 20_000 } });
  const source = new Numbers(2);
  source.onRunCompleted = never;
  work.register(source);
  work.jobs.processCursorData(NAME);
  await settle();
  let closed = false;
  const closing = work.jobs.shutdown().then(() => (closed = true));
  await clock.turn(19_999);
  expect(closed).toBe(false);
  await clock.turn(1);
  await closing;
});
