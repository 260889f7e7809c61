import { describe, expect, jest, test } from '@jest/globals';
import { MemoryCursorCache, type CursorRun, type CursorRunResult, type Page } from '../../../src/index.js';
import { deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { NAME, Numbers, pages, QuoteWork, work } from './quote-work.js';

describe('the checkpoint', () => {
  test('moves when every item of a page has ended, and not before', async () => {
    for (const item of [2, 3]) work.gates.set(item, deferred());
    work.register(new Numbers(6));
    const ran = work.run();
    await settle();
    expect(work.worked).toEqual([1, 2]);
    expect(await work.cache.load(NAME)).toBeUndefined();
    work.gates.get(2)!.resolve();
    await settle();
    expect(work.worked).toEqual([1, 2, 3]);
    expect(await work.cache.load(NAME)).toBe(2);
    work.gates.get(3)!.resolve();
    await ran;
  });

  test('stays where it is when the next page can not be fetched, so that nothing is skipped and one page repeated at most', async () => {
    const source = new Numbers(6);
    source.downAfter = 4;
    work.register(source);
    expect(await work.run()).toMatchObject({
      status: 'failed',
      pages: 2,
      done: 4,
      error: { message: 'source is down' },
    });
    expect(await work.cache.load(NAME)).toBe(4);
    expect(source.ended).toEqual([]);
    source.downAfter = undefined;
    expect(await work.run()).toMatchObject({ status: 'completed', pages: 1, done: 2 });
    expect(work.worked).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('moves past the page that is worked on although the one after it could not be fetched meanwhile', async () => {
    work.gates.set(1, deferred());
    const source = new Numbers(4);
    source.downAfter = 2;
    work.register(source);
    const ran = work.run();
    // The failure is there, and nobody has asked for it yet.
    await settle();
    work.gates.get(1)!.resolve();
    expect(await ran).toMatchObject({ status: 'failed', pages: 1, done: 2 });
    expect(await work.cache.load(NAME)).toBe(2);
  });

  test('outlives a process that is killed: the next one repeats the page that was worked on, and nothing before', async () => {
    work.gates.set(4, deferred());
    work.register(new Numbers(6));
    void work.run();
    await settle();
    expect(work.worked).toEqual([1, 2, 3, 4]);

    // Killed now: nothing of it is written any more.
    const left = new MemoryCursorCache();
    await left.save(NAME, await work.cache.load(NAME));
    const survivor = new QuoteWork(left);
    const source = new Numbers(6);
    survivor.register(source);
    await survivor.run();
    expect(source.fetched).toEqual([2, 4]);
    expect(survivor.worked).toEqual([3, 4, 5, 6]);
    await survivor.end();
  });

  test.each([[undefined], [null]])(
    'is cleared at the end of the source, when next is %p: the next run starts over',
    async (end) => {
      work.register(
        pages({ items: ['a'], next: { page: 2 } }, { items: ['b'], next: end }, { items: ['c'], next: end }),
      );
      await work.run();
      expect(await work.cache.load(NAME)).toBeUndefined();
      expect(await work.run()).toMatchObject({ status: 'completed', pages: 1 });
      expect(work.worked).toEqual(['a', 'b', 'c']);
    },
  );

  test('is kept at a last page that has a next one: the next run goes on there', async () => {
    const fetchPage = jest.fn<(cursor?: unknown) => Promise<Page<unknown, unknown>>>();
    fetchPage.mockResolvedValueOnce({ items: ['a'], next: 'after a' });
    fetchPage.mockResolvedValueOnce({ items: ['b'], next: 'after b', isLast: true });
    // Nothing new: the position is the same, which is no endless loop, as the run ends here.
    fetchPage.mockResolvedValueOnce({ items: [], next: 'after b', isLast: true });
    work.register({ fetchPage });
    expect(await work.run()).toMatchObject({ status: 'completed', pages: 2 });
    expect(await work.cache.load(NAME)).toBe('after b');
    expect(await work.run()).toMatchObject({ status: 'completed', pages: 1, items: 0 });
    expect(fetchPage.mock.calls.map(([cursor]) => cursor)).toEqual([undefined, 'after a', 'after b']);
  });

  test('is what it was when it was saved, whatever its source does with it, and as it comes from a cache elsewhere', async () => {
    const cache = new MemoryCursorCache();
    const checkpoint = { after: 5, shard: undefined };
    await cache.save(NAME, checkpoint);
    checkpoint.after = 6;
    expect(await cache.load(NAME)).toStrictEqual({ after: 5 });
    await cache.clear(NAME);
    expect(await cache.load(NAME)).toBeUndefined();
  });

  test('may be any JSON value: one that is falsy is no beginning', async () => {
    const fetchPage = jest.fn<(cursor?: unknown) => Promise<Page<unknown, unknown>>>();
    fetchPage.mockResolvedValueOnce({ items: [1], next: 0 });
    fetchPage.mockResolvedValueOnce({ items: [2], next: '' });
    fetchPage.mockResolvedValueOnce({ items: [3], next: false });
    fetchPage.mockResolvedValueOnce({ items: [4], next: undefined });
    work.register({ fetchPage });
    expect(await work.run()).toMatchObject({ status: 'completed', pages: 4 });
    expect(fetchPage.mock.calls.map(([cursor]) => cursor)).toEqual([undefined, 0, '', false]);
  });

  test('that can not be saved ends the run as failed', async () => {
    work.cache.save = () => Promise.reject(new Error('disk full'));
    work.register(new Numbers(4));
    expect(await work.run()).toMatchObject({ status: 'failed', error: { message: 'disk full' }, done: 2 });
  });

  test('that can not be loaded ends the run as failed, before anything is fetched', async () => {
    work.cache.load = () => Promise.reject(new Error('connection lost'));
    const source = new Numbers(4);
    work.register(source);
    expect(await work.run()).toMatchObject({
      status: 'failed',
      error: { message: 'connection lost' },
      pages: 0,
    });
    expect(source.fetched).toHaveLength(0);
  });
});

test('checkpoints are kept in memory when no cache is given', async () => {
  await work.restart({});
  expect(work.jobs.cursorCache).toBeInstanceOf(MemoryCursorCache);
  work.register(pages({ items: [], next: 'x', isLast: true }));
  await work.run();
  expect(await work.jobs.cursorCache.load(NAME)).toBe('x');
  await work.jobs.cursorCache.clear(NAME);
  expect(await work.jobs.cursorCache.load(NAME)).toBeUndefined();
});

describe('the end of the source', () => {
  test('is told before the checkpoint moves past the last page', async () => {
    const source = new Numbers(4);
    const seen: unknown[] = [];
    source.onRunCompleted = async (result) => {
      seen.push(result.status, result.pages, await work.cache.load(NAME));
    };
    work.register(source);
    const result = await work.run();
    expect(result).toMatchObject({ status: 'completed', pages: 2, done: 4 });
    expect(seen).toEqual(['completed', 2, 2]);
    expect(await work.cache.load(NAME)).toBeUndefined();
  });

  test('is told of a source in which there is nothing', async () => {
    const onRunCompleted = jest.fn<(result: CursorRunResult) => void>();
    work.register({ ...pages({ items: [], next: undefined }), onRunCompleted });
    const result = await work.run();
    expect(onRunCompleted.mock.calls.map(([told]) => told)).toEqual([result]);
  });

  test('is told of a last page with a next one before its checkpoint is saved', async () => {
    const onRunCompleted = jest.fn<() => Promise<void>>();
    onRunCompleted.mockRejectedValueOnce(new Error('no report'));
    onRunCompleted.mockResolvedValueOnce();
    const page = { items: ['a'], next: 'after a', isLast: true };
    work.register({ ...pages(page, page), onRunCompleted });
    expect(await work.run()).toMatchObject({ status: 'failed' });
    expect(await work.cache.load(NAME)).toBeUndefined();
    expect(await work.run()).toMatchObject({ status: 'completed' });
    expect(await work.cache.load(NAME)).toBe('after a');
  });

  test('is told again, after the last page, by the next run when that failed', async () => {
    const source = new Numbers(4);
    const told = jest.spyOn(source, 'onRunCompleted');
    told.mockImplementationOnce(() => Promise.reject(new Error('no report')));
    work.register(source);
    expect(await work.run()).toMatchObject({
      status: 'failed',
      pages: 2,
      done: 4,
      error: { message: 'no report' },
    });
    expect(await work.cache.load(NAME)).toBe(2);
    expect(await work.run()).toMatchObject({ status: 'completed', pages: 1, done: 2 });
    expect(told).toHaveBeenCalledTimes(2);
    expect(work.worked).toEqual([1, 2, 3, 4, 3, 4]);
    expect(await work.cache.load(NAME)).toBeUndefined();
  });

  test('that can not be kept in mind ends the run as failed', async () => {
    work.cache.clear = () => Promise.reject(new Error('disk full'));
    const source = new Numbers(2);
    work.register(source);
    expect(await work.run()).toMatchObject({ status: 'failed', pages: 1, error: { message: 'disk full' } });
    expect(source.ended).toHaveLength(1);
  });

  test.each<[string, (started: CursorRun) => unknown]>([
    ['shutdown', () => work.jobs.shutdown()],
    ['interruption', (started) => started.interrupt()],
    ['cancelling', (started) => started.cancel()],
  ])('that is being told is the end of the run, whatever comes then: %s', async (_, stop) => {
    const reported = deferred();
    const source = new Numbers(4);
    source.onRunCompleted = () => reported.promise;
    work.register(source);
    const started = work.jobs.processCursorData(NAME);
    await settle();
    const stopped = stop(started);
    await settle();
    reported.resolve();
    expect(await started.completed).toMatchObject({ status: 'completed', pages: 2, done: 4 });
    await stopped;
    expect(await work.cache.load(NAME)).toBeUndefined();
  });

  test('that a shutdown finds in work is reached all the same', async () => {
    work.gates.set(4, deferred());
    const source = new Numbers(4);
    work.register(source);
    const started = work.jobs.processCursorData(NAME);
    await settle();
    const closed = work.jobs.shutdown();
    work.gates.get(4)!.resolve();
    await closed;
    expect(await started.completed).toMatchObject({ status: 'completed', pages: 2 });
    expect(source.ended).toHaveLength(1);
    expect(await work.cache.load(NAME)).toBeUndefined();
  });
});
