import { describe, expect, jest, test } from '@jest/globals';
import { MemoryCursorCache, type Job } from '../../../src/index.js';
import { deferred } from '../../support/deferred.js';
import { ManualClock, settle } from '../../support/manual-clock.js';
import { NAME, Numbers, silent, work } from './quote-work.js';

describe('cancel', () => {
  test('stops reading, drops what waits, aborts what runs, and keeps the checkpoint', async () => {
    work.held = deferred();
    const source = new Numbers(6);
    source.silentAfter = 3;
    work.register(source, { pageSize: 3 });
    const started = work.jobs.processCursorData(NAME);
    await settle();
    started.cancel();
    expect(source.signal!.aborted).toBe(true);
    work.held.resolve();
    expect(await started.completed).toMatchObject({ status: 'cancelled', pages: 0, done: 1, failed: 0 });
    expect(work.worked).toEqual([1]);
    expect(await work.cache.load(NAME)).toBeUndefined();
    expect(source.ended).toEqual([]);
  });

  test('reaches a page that still waits for room in the queue: nothing more of it is taken in', async () => {
    await work.restart({ process: { maxQueueSize: 4 } });
    for (const item of [1, 2]) work.gates.set(item, deferred());
    work.register(new Numbers(20), { pageSize: 20 });
    const started = work.jobs.processCursorData(NAME);
    await settle();
    started.cancel();
    expect(work.jobs.counts('quotes')).toMatchObject({ waiting: 0, running: 1 });
    work.gates.get(1)!.resolve();
    expect(await started.completed).toMatchObject({ status: 'cancelled', pages: 0, done: 1 });
    expect(work.worked).toEqual([1]);
    expect(work.jobs.counts('quotes')).toMatchObject({ waiting: 0, running: 0, completed: 1 });
  });

  test('ends a run of whose page nothing has found room yet', async () => {
    await work.restart({ cursorCache: work.cache, process: { maxQueueSize: 1 } });
    void work.jobs.pause('quotes');
    work.jobs.offer('quotes', 'other');
    const source = new Numbers(1);
    work.register(source);
    const started = work.jobs.processCursorData(NAME);
    await settle();
    started.cancel();
    expect(await started.completed).toMatchObject({ status: 'cancelled', pages: 0, items: 0 });
    expect(source.ended).toEqual([]);
    void work.jobs.resume('quotes');
  });

  test('ends a run at once whose source does not answer, and another may be started', async () => {
    work.register(silent);
    const started = work.jobs.processCursorData(NAME);
    await settle();
    started.cancel();
    expect(await started.completed).toMatchObject({ status: 'cancelled', pages: 0, error: undefined });
    await settle();
    expect(work.jobs.processCursorData(NAME)).not.toBe(started);
  });

  test('ends a run before its source was asked', async () => {
    const source = new Numbers(2);
    work.register(source);
    const started = work.jobs.processCursorData(NAME);
    started.cancel();
    expect(await started.completed).toMatchObject({ status: 'cancelled' });
    await settle();
    expect(source.fetched).toHaveLength(0);
  });

  test('ends a run at once whose checkpoint does not come', async () => {
    work.cache.load = () => new Promise<never>(() => undefined);
    work.register(new Numbers(2));
    const started = work.jobs.processCursorData(NAME);
    await settle();
    started.cancel();
    expect(await started.completed).toMatchObject({ status: 'cancelled' });
  });

  test('comes too late when every item of the last page has ended', async () => {
    work.gates.set(2, deferred());
    const source = new Numbers(2);
    work.register(source);
    const started = work.jobs.processCursorData(NAME);
    await settle();
    started.cancel();
    work.gates.get(2)!.resolve();
    expect(await started.completed).toMatchObject({ status: 'completed', pages: 1, done: 2 });
    expect(source.ended).toHaveLength(1);
    started.cancel();
    expect(await started.completed).toMatchObject({ status: 'completed' });
  });

  test('of the job of a page cancels the run', async () => {
    work.held = deferred();
    const source = new Numbers(6);
    source.silentAfter = 2;
    work.register(source);
    const finished = new Promise<Job>((resolve) => work.jobs.on('jobEnded', resolve));
    const started = work.jobs.processCursorData(NAME);
    await settle();
    await (await work.jobs.findJob(work.jobIds.get(1)!))!.cancel();
    work.held.resolve();
    await finished;
    expect(await started.completed).toMatchObject({ status: 'cancelled', pages: 0 });
    // Nobody waits for the page that was being fetched.
    expect(source.signal!.aborted).toBe(true);
  });
});

test('interrupt lets the page that is worked on end, and reads no further', async () => {
  work.gates.set(2, deferred());
  const source = new Numbers(6);
  work.register(source);
  const started = work.jobs.processCursorData(NAME);
  await settle();
  started.interrupt();
  work.gates.get(2)!.resolve();
  expect(await started.completed).toMatchObject({ status: 'interrupted', pages: 1, done: 2 });
  expect(work.worked).toEqual([1, 2]);
  expect(await work.cache.load(NAME)).toBe(2);
  expect(await work.run()).toMatchObject({ status: 'completed', pages: 2, done: 4 });
  expect(work.worked).toEqual([1, 2, 3, 4, 5, 6]);
});

describe('shutdown', () => {
  test('lets the page that is worked on end, moves the checkpoint, and reads no further', async () => {
    work.held = deferred();
    const source = new Numbers(6);
    source.silentAfter = 2;
    work.register(source);
    const started = work.jobs.processCursorData(NAME);
    await settle();
    const closed = work.jobs.shutdown();
    expect(source.signal!.aborted).toBe(true);
    work.held.resolve();
    await closed;
    expect(await started.completed).toMatchObject({ status: 'interrupted', pages: 1, done: 2 });
    expect(work.worked).toEqual([1, 2]);
    expect(await work.cache.load(NAME)).toBe(2);
    expect(() => work.jobs.processCursorData(NAME)).toThrow(
      expect.objectContaining({ code: 'PROCESS_CLOSED' }),
    );
  });

  test('keeps the checkpoint before a page that could not be finished', async () => {
    await work.restart({ cursorCache: work.cache, process: { shutdownTimeoutMs: 0, abortGraceMs: 0 } });
    work.held = deferred();
    work.register(new Numbers(6));
    const started = work.jobs.processCursorData(NAME);
    await settle();
    await work.jobs.shutdown();
    expect(await started.completed).toMatchObject({ status: 'interrupted', pages: 0 });
    expect(await work.cache.load(NAME)).toBeUndefined();
  });

  test('does not wait for a source that does not answer', async () => {
    const clock = new ManualClock();
    await work.restart({ process: { clock } });
    work.register(silent);
    const started = work.jobs.processCursorData(NAME);
    await settle();
    await work.jobs.shutdown();
    expect(await started.completed).toMatchObject({ status: 'interrupted' });
    expect(clock.timers).toBe(0);
  });

  test('interrupts a run whose page has not found room in the queue; what had is worked off', async () => {
    await work.restart({ cursorCache: work.cache, process: { maxQueueSize: 2 } });
    work.held = deferred();
    const source = new Numbers(20);
    work.register(source, { pageSize: 20 });
    const started = work.jobs.processCursorData(NAME);
    await settle();
    const closed = work.jobs.shutdown();
    work.held.resolve();
    await closed;
    expect(await started.completed).toMatchObject({ status: 'interrupted', pages: 0, error: undefined });
    expect(work.worked.length).toBeLessThan(20);
    expect(await work.cache.load(NAME)).toBeUndefined();
  });

  test('does not hand back what the source will give again', async () => {
    const onUnfinished = jest.fn<() => void>();
    await work.restart({ process: { shutdownTimeoutMs: 0, abortGraceMs: 0, onUnfinished } });
    work.held = deferred();
    work.register(new Numbers(6));
    const started = work.jobs.processCursorData(NAME);
    await settle();
    await work.jobs.shutdown();
    expect(await started.completed).toMatchObject({ status: 'interrupted', pages: 0 });
    expect(onUnfinished).not.toHaveBeenCalled();
  });

  test('gives the feeds 5 seconds to write down what was done, even if the items used up the time', async () => {
    const clock = new ManualClock();
    const saved = deferred();
    const slow = new MemoryCursorCache();
    slow.save = () => saved.promise;
    await work.restart({ cursorCache: slow, process: { clock, shutdownTimeoutMs: 0, abortGraceMs: 0 } });
    work.gates.set(3, deferred());
    work.register(new Numbers(4));
    work.jobs.processCursorData(NAME);
    await settle();
    let closed = false;
    const closing = work.jobs.shutdown().then(() => (closed = true));
    await clock.turn(4_999);
    expect(closed).toBe(false);
    saved.resolve();
    await closing;
    expect(clock.timers).toBe(0);
  });

  test('waits for the checkpoint to be written', async () => {
    const saved = deferred();
    const slow = new MemoryCursorCache();
    slow.save = () => saved.promise;
    await work.restart({ cursorCache: slow });
    work.held = deferred();
    work.register(new Numbers(4));
    work.jobs.processCursorData(NAME);
    await settle();
    let closed = false;
    const closing = work.jobs.shutdown().then(() => (closed = true));
    work.held.resolve();
    await settle();
    expect(closed).toBe(false);
    saved.resolve();
    await closing;
  });
});
