import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { getEventListeners } from 'node:events';
import { inspect } from 'node:util';
import {
  FetchTimeLimitError,
  JobProcess,
  MemoryCursorCache,
  type CursorCache,
  type CursorRun,
  type CursorRunResult,
  type CursorSource,
  type Job,
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
/** The jobs of the items that have been given to the worker. */
let jobIds: Map<unknown, string>;

beforeEach(() => {
  cache = new MapCache();
  gates = new Map();
  worked = [];
  held = undefined;
  failing = new Set();
  jobIds = new Map();
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
    processItem: async (item: unknown, { jobId }) => {
      worked.push(item);
      jobIds.set(item, jobId);
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
  /** Of the last call. */
  signal: AbortSignal | undefined;
  /** The cursor to which there is no answer. */
  silentAfter: number | undefined = undefined;

  constructor(public last: number) {}

  fetchPage(cursor: number | undefined, limit: number, signal: AbortSignal): Promise<Page<number, number>> {
    this.fetched.push(cursor);
    this.signal = signal;
    if (cursor !== undefined && cursor === this.silentAfter) return new Promise(() => undefined);
    const first = (cursor ?? 0) + 1;
    const next = Math.min(this.last, first + limit - 1);
    const items = Array.from({ length: next - first + 1 }, (_, place) => first + place);
    return Promise.resolve({ items, next: next < this.last ? next : undefined });
  }

  onRunCompleted(result: CursorRunResult): void | Promise<void> {
    this.ended.push(result);
  }
}

/** A source that never answers. */
const silent: CursorSource = { fetchPage: () => new Promise<never>(() => undefined) };

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

  test('gives each item once although the source fills the same array for every page', async () => {
    const items: number[] = [];
    register({
      fetchPage: (cursor) => {
        const first = ((cursor as number | undefined) ?? 0) + 1;
        items.splice(0, items.length, first, first + 1);
        return Promise.resolve({ items, next: first < 5 ? first + 1 : undefined });
      },
    });
    expect(await run()).toMatchObject({ status: 'completed', items: 6 });
    expect(worked).toEqual([1, 2, 3, 4, 5, 6]);
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

  test('is shown at a console by its class and its progress', async () => {
    register(new Numbers(2));
    const started = jobs.processCursorData(NAME);
    await started.completed;
    expect(inspect(started, { breakLength: Infinity })).toBe(
      `CursorRun { name: '${NAME}', pages: 1, items: 2, done: 2, failed: 0 }`,
    );
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
    expect(source.fetched).toHaveLength(0);
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

  test('by items that can not be read', async () => {
    const items = ['a', 'b'];
    Object.defineProperty(items, 1, {
      get: () => {
        throw new Error('connection lost');
      },
    });
    register(pages({ items, next: undefined }));
    expect(await run()).toMatchObject({ status: 'failed', pages: 0, error: { message: 'connection lost' } });
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

describe('the end of the source', () => {
  test('is told before the checkpoint moves past the last page', async () => {
    const source = new Numbers(4);
    const seen: unknown[] = [];
    source.onRunCompleted = async (result) => {
      seen.push(result.status, result.pages, await cache.load(NAME));
    };
    register(source);
    const result = await run();
    expect(result).toMatchObject({ status: 'completed', pages: 2, done: 4 });
    expect(seen).toEqual(['completed', 2, 2]);
    expect(cache.checkpoints.size).toBe(0);
  });

  test('is told of a source in which there is nothing', async () => {
    const onRunCompleted = jest.fn<(result: CursorRunResult) => void>();
    register({ ...pages({ items: [], next: undefined }), onRunCompleted });
    const result = await run();
    expect(onRunCompleted.mock.calls).toEqual([[result]]);
  });

  test('is told of a last page with a next one before its checkpoint is saved', async () => {
    const onRunCompleted = jest.fn<() => Promise<void>>();
    onRunCompleted.mockRejectedValueOnce(new Error('no report'));
    onRunCompleted.mockResolvedValueOnce();
    const page = { items: ['a'], next: 'after a', isLast: true };
    register({ ...pages(page, page), onRunCompleted });
    expect(await run()).toMatchObject({ status: 'failed' });
    expect(cache.checkpoints.size).toBe(0);
    expect(await run()).toMatchObject({ status: 'completed' });
    expect(await cache.load(NAME)).toBe('after a');
  });

  test('is told again, after the last page, by the next run when that failed', async () => {
    const source = new Numbers(4);
    const told = jest.spyOn(source, 'onRunCompleted');
    told.mockImplementationOnce(() => Promise.reject(new Error('no report')));
    register(source);
    expect(await run()).toMatchObject({
      status: 'failed',
      pages: 2,
      done: 4,
      error: { message: 'no report' },
    });
    expect(await cache.load(NAME)).toBe(2);
    expect(await run()).toMatchObject({ status: 'completed', pages: 1, done: 2 });
    expect(told).toHaveBeenCalledTimes(2);
    expect(worked).toEqual([1, 2, 3, 4, 3, 4]);
    expect(cache.checkpoints.size).toBe(0);
  });

  test('that can not be kept in mind ends the run as failed', async () => {
    cache.clear = () => Promise.reject(new Error('disk full'));
    const source = new Numbers(2);
    register(source);
    expect(await run()).toMatchObject({ status: 'failed', pages: 1, error: { message: 'disk full' } });
    expect(source.ended).toHaveLength(1);
  });

  test.each<[string, (started: CursorRun) => unknown]>([
    ['shutdown', () => jobs.shutdown()],
    ['interruption', (started) => started.interrupt()],
    ['cancelling', (started) => started.cancel()],
  ])('that is being told is the end of the run, whatever comes then: %s', async (_, stop) => {
    const reported = deferred();
    const source = new Numbers(4);
    source.onRunCompleted = () => reported.promise;
    register(source);
    const started = jobs.processCursorData(NAME);
    await settle();
    const stopped = stop(started);
    await settle();
    reported.resolve();
    expect(await started.completed).toMatchObject({ status: 'completed', pages: 2, done: 4 });
    await stopped;
    expect(cache.checkpoints.size).toBe(0);
  });

  test('that a shutdown finds in work is reached all the same', async () => {
    gates.set(4, deferred());
    const source = new Numbers(4);
    register(source);
    const started = jobs.processCursorData(NAME);
    await settle();
    const closed = jobs.shutdown();
    gates.get(4)!.resolve();
    await closed;
    expect(await started.completed).toMatchObject({ status: 'completed', pages: 2 });
    expect(source.ended).toHaveLength(1);
    expect(cache.checkpoints.size).toBe(0);
  });
});

function registerLimited(source: CursorSource, fetchTimeoutMs?: number): void {
  jobs.registerCursorJob({ name: NAME, type: 'quotes', pageSize: 2, fetchTimeoutMs, source });
}

describe('the time limit of a page', () => {
  let clock: ManualClock;
  beforeEach(async () => {
    await jobs.shutdown();
    clock = new ManualClock();
    jobs = start({ cursorCache: cache, process: { clock, idleTimeoutMs: 0 } });
  });

  test('ends the run as failed, with the job and the limit, and is the reason of the signal', async () => {
    const source = new Numbers(4);
    source.silentAfter = 2;
    registerLimited(source);
    let ended: CursorRunResult | undefined;
    void run().then((result) => (ended = result));
    await clock.turn(59_999);
    expect(ended).toBeUndefined();
    expect(source.signal!.aborted).toBe(false);
    await clock.turn(1);
    expect(ended).toMatchObject({ status: 'failed', pages: 1, done: 2 });
    expect(ended!.error).toBeInstanceOf(FetchTimeLimitError);
    expect(ended!.error).toMatchObject({
      code: 'FETCH_TIME_LIMIT',
      jobName: NAME,
      fetchTimeoutMs: 60_000,
      message: 'Cursor job "daily quotes/€ \\"x\\"": fetchPage passed its time limit, fetchTimeoutMs (60000)',
    });
    expect(source.signal!.reason).toBe(ended!.error);
    expect(await cache.load(NAME)).toBe(2);
    expect(clock.timers).toBe(0);
  });

  test('leaves the page that is worked on to its end', async () => {
    gates.set(2, deferred());
    const source = new Numbers(4);
    source.silentAfter = 2;
    registerLimited(source, 100);
    const ran = run();
    await clock.turn(100);
    gates.get(2)!.resolve();
    expect(await ran).toMatchObject({ status: 'failed', pages: 1, error: { fetchTimeoutMs: 100 } });
    expect(await cache.load(NAME)).toBe(2);
  });

  test.each<[string, (answer: Deferred<Page<number, number>>) => void]>([
    ['an answer', ({ resolve }) => resolve({ items: [1], next: undefined })],
    ['a failure', ({ reject }) => reject(new Error('too late'))],
  ])('has %s ignored that comes later', async (_, give) => {
    const unhandled = jest.fn();
    process.on('unhandledRejection', unhandled);
    const answer = deferred<Page<number, number>>();
    registerLimited({ fetchPage: () => answer.promise }, 100);
    const ran = run();
    await clock.turn(100);
    give(answer);
    await settle();
    expect(await ran).toMatchObject({ status: 'failed', items: 0 });
    expect(unhandled).not.toHaveBeenCalled();
    process.off('unhandledRejection', unhandled);
    expect(worked).toEqual([]);
  });

  test('begins anew with each page, and leaves nothing behind', async () => {
    const answers = [deferred(), deferred()];
    const source = new Numbers(4);
    const signals: AbortSignal[] = [];
    registerLimited(
      {
        fetchPage: async (cursor: number | undefined, limit, signal) => {
          signals.push(signal);
          await answers[signals.length - 1]!.promise;
          return source.fetchPage(cursor, limit, signal);
        },
      },
      100,
    );
    const ran = run();
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
    registerLimited(silent, 0);
    const started = jobs.processCursorData(NAME);
    await clock.turn(86_400_000);
    expect(clock.timers).toBe(0);
    started.cancel();
    expect(await started.completed).toMatchObject({ status: 'cancelled' });
  });
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

  test('rejects when the process shuts down, and from then on', async () => {
    register(new Numbers(1));
    const { signal } = new AbortController();
    const waiting = [jobs.waitForTrigger(NAME), jobs.waitForTrigger(NAME, { signal })];
    const told = Promise.allSettled(waiting);
    const closed = jobs.shutdown();
    const late = jobs.waitForTrigger(NAME);
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
    expect(await Promise.allSettled([jobs.waitForTrigger(NAME)])).toEqual([turnedAway]);
  });

  test('needs a job of that name', async () => {
    await expect(jobs.waitForTrigger('x')).rejects.toMatchObject({ code: 'UNKNOWN_CURSOR_JOB' });
  });
});

describe('cancel', () => {
  test('stops reading, drops what waits, aborts what runs, and keeps the checkpoint', async () => {
    held = deferred();
    const source = new Numbers(6);
    source.silentAfter = 3;
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

  test('reaches a page that still waits for room in the queue: nothing more of it is taken in', async () => {
    await jobs.shutdown();
    jobs = start({ process: { maxQueueSize: 4 } });
    for (const item of [1, 2]) gates.set(item, deferred());
    register(new Numbers(20), 20);
    const started = jobs.processCursorData(NAME);
    await settle();
    started.cancel();
    expect(jobs.counts('quotes')).toMatchObject({ waiting: 0, running: 1 });
    gates.get(1)!.resolve();
    expect(await started.completed).toMatchObject({ status: 'cancelled', pages: 0, done: 1 });
    expect(worked).toEqual([1]);
    expect(jobs.counts('quotes')).toMatchObject({ waiting: 0, running: 0, completed: 1 });
  });

  test('ends a run of whose page nothing has found room yet', async () => {
    await jobs.shutdown();
    jobs = start({ cursorCache: cache, process: { maxQueueSize: 1 } });
    jobs.pause('quotes');
    jobs.offer('quotes', 'other');
    const source = new Numbers(1);
    register(source);
    const started = jobs.processCursorData(NAME);
    await settle();
    started.cancel();
    expect(await started.completed).toMatchObject({ status: 'cancelled', pages: 0, items: 0 });
    expect(source.ended).toEqual([]);
    jobs.resume('quotes');
  });

  test('ends a run at once whose source does not answer, and another may be started', async () => {
    register(silent);
    const started = jobs.processCursorData(NAME);
    await settle();
    started.cancel();
    expect(await started.completed).toMatchObject({ status: 'cancelled', pages: 0, error: undefined });
    await settle();
    expect(jobs.processCursorData(NAME)).not.toBe(started);
  });

  test('ends a run before its source was asked', async () => {
    const source = new Numbers(2);
    register(source);
    const started = jobs.processCursorData(NAME);
    started.cancel();
    expect(await started.completed).toMatchObject({ status: 'cancelled' });
    await settle();
    expect(source.fetched).toHaveLength(0);
  });

  test('ends a run at once whose checkpoint does not come', async () => {
    cache.load = () => new Promise<never>(() => undefined);
    register(new Numbers(2));
    const started = jobs.processCursorData(NAME);
    await settle();
    started.cancel();
    expect(await started.completed).toMatchObject({ status: 'cancelled' });
  });

  test('comes too late when every item of the last page has ended', async () => {
    gates.set(2, deferred());
    const source = new Numbers(2);
    register(source);
    const started = jobs.processCursorData(NAME);
    await settle();
    started.cancel();
    gates.get(2)!.resolve();
    expect(await started.completed).toMatchObject({ status: 'completed', pages: 1, done: 2 });
    expect(source.ended).toHaveLength(1);
    started.cancel();
    expect(await started.completed).toMatchObject({ status: 'completed' });
  });

  test('of the job of a page cancels the run', async () => {
    held = deferred();
    const source = new Numbers(6);
    source.silentAfter = 2;
    register(source);
    const finished = new Promise<Job>((resolve) => jobs.on('jobFinished', resolve));
    const started = jobs.processCursorData(NAME);
    await settle();
    jobs.findJob(jobIds.get(1)!)!.cancel();
    held.resolve();
    await finished;
    expect(await started.completed).toMatchObject({ status: 'cancelled', pages: 0 });
    // Nobody waits for the page that was being fetched.
    expect(source.signal!.aborted).toBe(true);
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
    source.silentAfter = 2;
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

  test('does not wait for a source that does not answer', async () => {
    await jobs.shutdown();
    const clock = new ManualClock();
    jobs = start({ process: { clock } });
    register(silent);
    const started = jobs.processCursorData(NAME);
    await settle();
    await jobs.shutdown();
    expect(await started.completed).toMatchObject({ status: 'interrupted' });
    expect(clock.timers).toBe(0);
  });

  test('interrupts a run whose page has not found room in the queue; what had is worked off', async () => {
    await jobs.shutdown();
    jobs = start({ cursorCache: cache, process: { maxQueueSize: 2 } });
    held = deferred();
    const source = new Numbers(20);
    register(source, 20);
    const started = jobs.processCursorData(NAME);
    await settle();
    const closed = jobs.shutdown();
    held.resolve();
    await closed;
    expect(await started.completed).toMatchObject({ status: 'interrupted', pages: 0, error: undefined });
    expect(worked.length).toBeLessThan(20);
    expect(cache.checkpoints.size).toBe(0);
  });

  test('does not hand back what the source will give again', async () => {
    await jobs.shutdown();
    const onUnfinished = jest.fn<() => void>();
    jobs = start({ process: { shutdownTimeoutMs: 0, abortGraceMs: 0, onUnfinished } });
    held = deferred();
    register(new Numbers(6));
    const started = jobs.processCursorData(NAME);
    await settle();
    await jobs.shutdown();
    expect(await started.completed).toMatchObject({ status: 'interrupted', pages: 0 });
    expect(onUnfinished).not.toHaveBeenCalled();
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
