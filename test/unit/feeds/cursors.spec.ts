import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { getEventListeners } from 'node:events';
import {
  JobProcess,
  MemoryCursorCache,
  type CursorCache,
  type CursorRunResult,
  type CursorSource,
  type JobProcessSetup,
  type Page,
  type Trigger,
} from '../../../src/index.js';
import { deferred, type Deferred } from '../../support/deferred.js';
import { ManualClock, settle } from '../../support/manual-clock.js';

const NAME = 'daily quotes/€ "x"';

let jobs: JobProcess;
let cache: MapCache;
/** What the worker has been given, in order. */
let worked: unknown[];
/** Holds the worker while it is set. */
let held: Deferred | undefined;
/** Hold the worker at single items. */
let gates: Map<unknown, Deferred>;
let failing: ReadonlySet<unknown>;

beforeEach(() => {
  cache = new MapCache();
  gates = new Map();
  worked = [];
  held = undefined;
  failing = new Set();
  jobs = start({ cursorCache: cache });
});
afterEach(async () => {
  held?.resolve();
  await jobs.shutdown();
});

function start(setup: JobProcessSetup): JobProcess {
  const made = new JobProcess({
    ...setup,
    process: { maxConcurrency: 1, retry: { limit: 0 }, shutdownTimeoutMs: 5_000, ...setup.process },
  });
  made.register('quotes', {
    processItem: async (item: unknown) => {
      worked.push(item);
      await held?.promise;
      await gates.get(item)?.promise;
      if (failing.has(item)) throw new Error(`no ${String(item)}`);
    },
  });
  return made;
}

/** A cache that can be looked into. */
class MapCache implements CursorCache {
  constructor(readonly checkpoints = new Map<string, unknown>()) {}
  load(name: string): Promise<unknown> {
    return Promise.resolve(this.checkpoints.get(name));
  }
  save(name: string, checkpoint: unknown): Promise<void> {
    this.checkpoints.set(name, checkpoint);
    return Promise.resolve();
  }
  clear(name: string): Promise<void> {
    this.checkpoints.delete(name);
    return Promise.resolve();
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Numbers from 1 to `last`, of which the cursor is the last one that was read. */
class Numbers implements CursorSource<number, number> {
  readonly fetched: (number | undefined)[] = [];
  readonly ended: CursorRunResult[] = [];
  signal: AbortSignal | undefined;

  constructor(public last: number) {}

  fetchPage(cursor: number | undefined, limit: number, signal: AbortSignal): Promise<Page<number, number>> {
    this.fetched.push(cursor);
    this.signal = signal;
    const first = (cursor ?? 0) + 1;
    const next = Math.min(this.last, first + limit - 1);
    const items = Array.from({ length: next - first + 1 }, (_, place) => first + place);
    return Promise.resolve({ items, next: next < this.last ? next : undefined });
  }

  onRunCompleted(result: CursorRunResult): void | Promise<void> {
    this.ended.push(result);
  }
}

function register(source: CursorSource, pageSize = 2, on = jobs): void {
  on.registerCursorJob({ name: NAME, type: 'quotes', pageSize, source });
}

function pages(...list: unknown[]): CursorSource {
  const left = [...list];
  return { fetchPage: () => Promise.resolve(left.shift() as Page<unknown, unknown>) };
}

function run(): Promise<CursorRunResult> {
  return jobs.processCursorData(NAME).completed;
}

describe('a run', () => {
  test('gives every item of every page to the worker exactly once, and tells how it ended', async () => {
    const source = new Numbers(5);
    register(source);
    expect(await run()).toEqual({
      name: NAME,
      status: 'completed',
      pages: 3,
      items: 5,
      done: 5,
      failed: 0,
      error: undefined,
    });
    expect(worked).toEqual([1, 2, 3, 4, 5]);
    expect(source.fetched).toEqual([undefined, 2, 4]);
    expect(source.ended).toEqual([expect.objectContaining({ status: 'completed', items: 5 })]);
  });

  test('counts items that became dead letters, and goes on', async () => {
    failing = new Set([2, 3]);
    register(new Numbers(4));
    expect(await run()).toMatchObject({ status: 'completed', pages: 2, items: 4, done: 2, failed: 2 });
    expect(jobs.deadLetters().map(({ payload }) => payload)).toEqual([2, 3]);
  });

  test('may find nothing at all', async () => {
    register(pages({ items: [], next: undefined }));
    expect(await run()).toMatchObject({ status: 'completed', pages: 1, items: 0 });
  });

  test('tells its progress, as JSON as well', async () => {
    held = deferred();
    register(new Numbers(4));
    const started = jobs.processCursorData(NAME);
    await settle();
    expect(started.progress()).toEqual({ pages: 0, items: 2, done: 0, failed: 0 });
    held.resolve();
    await started.completed;
    expect(JSON.parse(JSON.stringify(started))).toEqual({
      name: NAME,
      pages: 2,
      items: 4,
      done: 4,
      failed: 0,
    });
  });

  test('hands a page that is larger than the queue over as there is room', async () => {
    await jobs.shutdown();
    jobs = start({ process: { maxQueueSize: 2 } });
    register(new Numbers(20), 10);
    expect(await run()).toMatchObject({ status: 'completed', pages: 2, items: 20, done: 20 });
  });

  test('fetches the next page while one is worked on, and never a further one', async () => {
    for (const item of [2, 3, 4]) gates.set(item, deferred());
    const source = new Numbers(8);
    register(source);
    const ran = run();
    await settle();
    expect([worked, source.fetched]).toEqual([
      [1, 2],
      [undefined, 2],
    ]);
    gates.get(2)!.resolve();
    await settle();
    expect([worked, source.fetched]).toEqual([
      [1, 2, 3],
      [undefined, 2, 4],
    ]);
    gates.get(3)!.resolve();
    gates.get(4)!.resolve();
    expect(await ran).toMatchObject({ pages: 4 });
  });
});

describe('the checkpoint', () => {
  test('moves when every item of a page has ended, and not before', async () => {
    for (const item of [2, 3]) gates.set(item, deferred());
    register(new Numbers(6));
    const ran = run();
    await settle();
    expect(worked).toEqual([1, 2]);
    expect(cache.checkpoints.size).toBe(0);
    gates.get(2)!.resolve();
    await settle();
    expect(worked).toEqual([1, 2, 3]);
    expect(await cache.load(NAME)).toBe(2);
    gates.get(3)!.resolve();
    await ran;
  });

  test('stays where it is when the next page can not be fetched, so that nothing is skipped and one page repeated at most', async () => {
    const source = new Numbers(6);
    let broken = true;
    register({
      fetchPage: (cursor: number | undefined, limit: number, signal: AbortSignal) => {
        if (broken && cursor === 4) throw new Error('source is down');
        return source.fetchPage(cursor, limit, signal);
      },
      onRunCompleted: (result: CursorRunResult) => source.onRunCompleted(result),
    });
    expect(await run()).toMatchObject({
      status: 'failed',
      pages: 2,
      done: 4,
      error: { message: 'source is down' },
    });
    expect(await cache.load(NAME)).toBe(4);
    expect(source.ended).toEqual([]);
    broken = false;
    expect(await run()).toMatchObject({ status: 'completed', pages: 1, done: 2 });
    expect(worked).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('moves past the page that is worked on although the one after it could not be fetched meanwhile', async () => {
    gates.set(1, deferred());
    const source = new Numbers(4);
    register({
      fetchPage: (cursor: number | undefined, limit: number, signal: AbortSignal) =>
        cursor === undefined
          ? source.fetchPage(cursor, limit, signal)
          : Promise.reject(new Error('source is down')),
    });
    const ran = run();
    // The failure is there, and nobody has asked for it yet.
    await settle();
    gates.get(1)!.resolve();
    expect(await ran).toMatchObject({ status: 'failed', pages: 1, done: 2 });
    expect(await cache.load(NAME)).toBe(2);
  });

  test('outlives a process that is killed: the next one repeats the page that was worked on, and nothing before', async () => {
    gates.set(4, deferred());
    register(new Numbers(6));
    void run();
    await settle();
    expect(worked).toEqual([1, 2, 3, 4]);

    // Killed now: nothing of it is written any more.
    const survivor = start({ cursorCache: new MapCache(new Map(cache.checkpoints)) });
    gates.get(4)!.resolve();
    gates.clear();
    await settle();
    worked = [];
    const source = new Numbers(6);
    register(source, 2, survivor);
    await survivor.processCursorData(NAME).completed;
    expect(source.fetched).toEqual([2, 4]);
    expect(worked).toEqual([3, 4, 5, 6]);
    await survivor.shutdown();
  });

  test.each([[undefined], [null]])(
    'is cleared at the end of the source, when next is %p: the next run starts over',
    async (end) => {
      register(
        pages({ items: ['a'], next: { page: 2 } }, { items: ['b'], next: end }, { items: ['c'], next: end }),
      );
      await run();
      expect(await cache.load(NAME)).toBeUndefined();
      expect(await run()).toMatchObject({ status: 'completed', pages: 1 });
      expect(worked).toEqual(['a', 'b', 'c']);
    },
  );

  test('is kept at a last page that has a next one: the next run goes on there', async () => {
    const fetchPage = jest.fn<(cursor?: unknown) => Promise<Page<unknown, unknown>>>();
    fetchPage.mockResolvedValueOnce({ items: ['a'], next: 'after a' });
    fetchPage.mockResolvedValueOnce({ items: ['b'], next: 'after b', isLast: true });
    // Nothing new: the position is the same, which is no endless loop, as the run ends here.
    fetchPage.mockResolvedValueOnce({ items: [], next: 'after b', isLast: true });
    register({ fetchPage });
    expect(await run()).toMatchObject({ status: 'completed', pages: 2 });
    expect(await cache.load(NAME)).toBe('after b');
    expect(await run()).toMatchObject({ status: 'completed', pages: 1, items: 0 });
    expect(fetchPage.mock.calls.map(([cursor]) => cursor)).toEqual([undefined, 'after a', 'after b']);
  });

  test('may be any JSON value: one that is falsy is no beginning', async () => {
    const fetchPage = jest.fn<(cursor?: unknown) => Promise<Page<unknown, unknown>>>();
    fetchPage.mockResolvedValueOnce({ items: [1], next: 0 });
    fetchPage.mockResolvedValueOnce({ items: [2], next: '' });
    fetchPage.mockResolvedValueOnce({ items: [3], next: false });
    fetchPage.mockResolvedValueOnce({ items: [4], next: undefined });
    register({ fetchPage });
    expect(await run()).toMatchObject({ status: 'completed', pages: 4 });
    expect(fetchPage.mock.calls.map(([cursor]) => cursor)).toEqual([undefined, 0, '', false]);
  });

  test('that can not be saved ends the run as failed', async () => {
    cache.save = () => Promise.reject(new Error('disk full'));
    register(new Numbers(4));
    expect(await run()).toMatchObject({ status: 'failed', error: { message: 'disk full' }, done: 2 });
  });

  test('that can not be loaded ends the run as failed, before anything is fetched', async () => {
    cache.load = () => Promise.reject(new Error('connection lost'));
    const source = new Numbers(4);
    register(source);
    expect(await run()).toMatchObject({ status: 'failed', error: { message: 'connection lost' }, pages: 0 });
    expect(source.fetched).toEqual([]);
  });
});

describe('a source that contradicts itself ends the run as failed', () => {
  const cyclic: { self?: unknown } = {};
  cyclic.self = cyclic;

  test.each<[string, unknown, RegExp]>([
    ['undefined', undefined, /expected fetchPage to return \{ items: \[...\], next \}, got undefined/],
    ['null', null, /got null/],
    ['an array', ['a'], /got an array of 1/],
    ['a page without items', { next: 1 }, /got an object/],
    ['a page whose items are no array', { items: 'abc', next: 1 }, /got an object/],
    [
      'a position that is a function',
      { items: [], next: () => 1 },
      /expected next to be a JSON value, got the function next/,
    ],
    ['a position that is a bigint', { items: [], next: 5n }, /expected next to be a JSON value, got 5n/],
    ['a position that is no number', { items: [], next: NaN }, /expected next to be a JSON value, got NaN/],
    [
      'a position with a circle',
      { items: [], next: cyclic },
      /expected next to be a JSON value, got an object/,
    ],
  ])('by returning %s', async (_, page, message) => {
    register(pages(page));
    const { status, error } = await run();
    expect(status).toBe('failed');
    expect(error).toMatchObject({ code: 'INVALID_PAGE', message: expect.stringMatching(message) });
    expect(await cache.load(NAME)).toBeUndefined();
  });

  test('by giving a page its own cursor as the next', async () => {
    register(pages({ items: ['a'], next: { id: 1 } }, { items: ['b'], next: { id: 1 } }));
    const { status, error } = await run();
    expect(status).toBe('failed');
    expect(error!.message).toMatch(/the page after cursor \{"id":1\} has the same cursor as its next/);
    expect(await cache.load(NAME)).toEqual({ id: 1 });
    expect(worked).toEqual(['a']);
  });

  test('by throwing what is no error', async () => {
    register({ fetchPage: () => Promise.reject('down') });
    expect(await run()).toMatchObject({
      status: 'failed',
      error: { code: 'NON_ERROR_THROWN', thrown: 'down' },
    });
  });

  test('by throwing when it is told of the end', async () => {
    const source = new Numbers(2);
    source.onRunCompleted = () => Promise.reject(new Error('no report'));
    register(source);
    expect(await run()).toMatchObject({ status: 'failed', done: 2, error: { message: 'no report' } });
  });
});

test('checkpoints are kept in memory when no cache is given', async () => {
  await jobs.shutdown();
  jobs = start({});
  expect(jobs.cursorCache).toBeInstanceOf(MemoryCursorCache);
  register(pages({ items: [], next: 'x', isLast: true }));
  await run();
  expect(await jobs.cursorCache.load(NAME)).toBe('x');
  await jobs.cursorCache.clear(NAME);
  expect(await jobs.cursorCache.load(NAME)).toBeUndefined();
});

describe('triggers', () => {
  test('while the job runs start nothing: they are told of, and given the run under way', async () => {
    held = deferred();
    const skipped: Trigger[] = [];
    jobs.on('triggerSkipped', (trigger) => skipped.push(trigger));
    register(new Numbers(2));
    const first = jobs.processCursorData(NAME);
    expect(jobs.processCursorData(NAME, 'cron')).toBe(first);
    expect(skipped).toEqual([{ name: NAME, cause: 'cron' }]);
    held.resolve();
    await first.completed;
    const second = jobs.processCursorData(NAME, 'message');
    expect(second).not.toBe(first);
    await second.completed;
    expect(worked).toEqual([1, 2, 1, 2]);
  });

  test('end in one event each, with the cause', async () => {
    const ended: unknown[] = [];
    jobs.on('cursorRunEnded', ({ cause, status }) => ended.push([cause, status]));
    register(pages({ items: [], next: undefined }, undefined));
    await jobs.processCursorData(NAME, 'cron').completed;
    await settle();
    await run();
    await settle();
    expect(ended).toEqual([
      ['cron', 'completed'],
      ['manual', 'failed'],
    ]);
  });

  test('need a job of that name, of which there is one', () => {
    expect(() => jobs.processCursorData('x')).toThrow('Unknown cursor job "x"; none is registered');
    register(new Numbers(1));
    expect(jobs.cursorJobs).toEqual([NAME]);
    expect(() => jobs.processCursorData('x')).toThrow(`Unknown cursor job "x"; known: ${NAME}`);
    expect(() => register(new Numbers(1))).toThrow(expect.objectContaining({ code: 'DUPLICATE_CURSOR_JOB' }));
    expect(() =>
      jobs.registerCursorJob({
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
    held = deferred();
    register(new Numbers(1));
    const waiting = [jobs.waitForTrigger(NAME), jobs.waitForTrigger(NAME)];
    const first = jobs.processCursorData(NAME, 'cron');
    expect(await Promise.all(waiting)).toEqual([
      { name: NAME, cause: 'cron' },
      { name: NAME, cause: 'cron' },
    ]);
    let told = false;
    const again = jobs.waitForTrigger(NAME).then((trigger) => {
      told = true;
      return trigger;
    });
    jobs.processCursorData(NAME);
    await settle();
    expect(told).toBe(false);
    held.resolve();
    await first.completed;
    await settle();
    jobs.processCursorData(NAME, 'message');
    expect(await again).toEqual({ name: NAME, cause: 'message' });
  });

  test('rejects with the reason of its signal, which then is let go of', async () => {
    register(new Numbers(1));
    const controller = new AbortController();
    const waiting = jobs.waitForTrigger(NAME, { signal: controller.signal });
    const { signal } = new AbortController();
    const other = jobs.waitForTrigger(NAME, { signal });
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(jobs.waitForTrigger(NAME, { signal: controller.signal })).rejects.toBe(reason);
    jobs.processCursorData(NAME);
    expect(await other).toEqual({ name: NAME, cause: 'manual' });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('needs a job of that name', async () => {
    await expect(jobs.waitForTrigger('x')).rejects.toMatchObject({ code: 'UNKNOWN_CURSOR_JOB' });
  });
});

describe('cancel', () => {
  test('stops reading, drops what waits, aborts what runs, and keeps the checkpoint', async () => {
    held = deferred();
    const source = new Numbers(6);
    register(source, 3);
    const started = jobs.processCursorData(NAME);
    await settle();
    started.cancel();
    expect(source.signal!.aborted).toBe(true);
    held.resolve();
    expect(await started.completed).toMatchObject({ status: 'cancelled', pages: 0, done: 1, failed: 0 });
    expect(worked).toEqual([1]);
    expect(await cache.load(NAME)).toBeUndefined();
    expect(source.ended).toEqual([]);
  });

  test('reaches a page that still waits for room in the queue', async () => {
    await jobs.shutdown();
    jobs = start({ process: { maxQueueSize: 4 } });
    for (const item of [1, 2]) gates.set(item, deferred());
    register(new Numbers(5), 5);
    const started = jobs.processCursorData(NAME);
    await settle();
    started.cancel();
    gates.get(1)!.resolve();
    await settle();
    gates.get(2)!.resolve();
    expect(await started.completed).toMatchObject({ status: 'cancelled', pages: 0, done: 2 });
    expect(worked).toEqual([1, 2]);
  });
});

test('interrupt lets the page that is worked on end, and reads no further', async () => {
  gates.set(2, deferred());
  const source = new Numbers(6);
  register(source);
  const started = jobs.processCursorData(NAME);
  await settle();
  started.interrupt();
  gates.get(2)!.resolve();
  expect(await started.completed).toMatchObject({ status: 'interrupted', pages: 1, done: 2 });
  expect(worked).toEqual([1, 2]);
  expect(await cache.load(NAME)).toBe(2);
  expect(await run()).toMatchObject({ status: 'completed', pages: 2, done: 4 });
  expect(worked).toEqual([1, 2, 3, 4, 5, 6]);
});

describe('shutdown', () => {
  test('lets the page that is worked on end, moves the checkpoint, and reads no further', async () => {
    held = deferred();
    const source = new Numbers(6);
    register(source);
    const started = jobs.processCursorData(NAME);
    await settle();
    const closed = jobs.shutdown();
    expect(source.signal!.aborted).toBe(true);
    held.resolve();
    await closed;
    expect(await started.completed).toMatchObject({ status: 'interrupted', pages: 1, done: 2 });
    expect(worked).toEqual([1, 2]);
    expect(await cache.load(NAME)).toBe(2);
    expect(() => jobs.processCursorData(NAME)).toThrow(expect.objectContaining({ code: 'PROCESS_CLOSED' }));
  });

  test('keeps the checkpoint before a page that could not be finished', async () => {
    await jobs.shutdown();
    jobs = start({ cursorCache: cache, process: { shutdownTimeoutMs: 0, abortGraceMs: 0 } });
    held = deferred();
    register(new Numbers(6));
    const started = jobs.processCursorData(NAME);
    await settle();
    await jobs.shutdown();
    expect(await started.completed).toMatchObject({ status: 'interrupted', pages: 0 });
    expect(await cache.load(NAME)).toBeUndefined();
  });

  test('does not wait for ever for a source that does not answer', async () => {
    await jobs.shutdown();
    const clock = new ManualClock();
    jobs = start({ process: { clock, shutdownTimeoutMs: 20_000 } });
    register({ fetchPage: () => new Promise<never>(() => undefined) });
    jobs.processCursorData(NAME);
    await settle();
    let closed = false;
    const closing = jobs.shutdown().then(() => (closed = true));
    await clock.turn(19_999);
    expect(closed).toBe(false);
    await clock.turn(1);
    expect(closed).toBe(true);
    await closing;
  });

  test('gives the feeds 5 seconds to write down what was done, even if the items used up the time', async () => {
    await jobs.shutdown();
    const clock = new ManualClock();
    const saved = deferred();
    const slow = new MapCache();
    slow.save = () => saved.promise;
    jobs = start({ cursorCache: slow, process: { clock, shutdownTimeoutMs: 0, abortGraceMs: 0 } });
    gates.set(3, deferred());
    register(new Numbers(4));
    jobs.processCursorData(NAME);
    await settle();
    let closed = false;
    const closing = jobs.shutdown().then(() => (closed = true));
    await clock.turn(4_999);
    expect(closed).toBe(false);
    saved.resolve();
    await closing;
    expect(clock.timers).toBe(0);
  });

  test('waits for the checkpoint to be written', async () => {
    const saved = deferred();
    const slow = new MapCache();
    slow.save = () => saved.promise;
    await jobs.shutdown();
    jobs = start({ cursorCache: slow });
    held = deferred();
    register(new Numbers(4));
    jobs.processCursorData(NAME);
    await settle();
    let closed = false;
    const closing = jobs.shutdown().then(() => (closed = true));
    held.resolve();
    await settle();
    expect(closed).toBe(false);
    saved.resolve();
    await closing;
  });
});
