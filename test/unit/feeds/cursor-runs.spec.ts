import { describe, expect, test } from '@jest/globals';
import { inspect } from 'node:util';
import { deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { NAME, Numbers, pages, work } from './quote-work.js';

describe('a run', () => {
  test('gives every item of every page to the worker exactly once, and tells how it ended', async () => {
    const source = new Numbers(5);
    work.register(source);
    expect(await work.run()).toEqual({
      name: NAME,
      status: 'completed',
      pages: 3,
      items: 5,
      done: 5,
      failed: 0,
      error: undefined,
    });
    expect(work.worked).toEqual([1, 2, 3, 4, 5]);
    expect(source.fetched).toEqual([undefined, 2, 4]);
    expect(source.ended).toEqual([expect.objectContaining({ status: 'completed', items: 5 })]);
  });

  test('gives each item once although the source fills the same array for every page', async () => {
    const items: number[] = [];
    work.register({
      fetchPage: (cursor) => {
        const first = ((cursor as number | undefined) ?? 0) + 1;
        items.splice(0, items.length, first, first + 1);
        return Promise.resolve({ items, next: first < 5 ? first + 1 : undefined });
      },
    });
    expect(await work.run()).toMatchObject({ status: 'completed', items: 6 });
    expect(work.worked).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('counts items that became dead letters, and goes on', async () => {
    work.failing = new Set([2, 3]);
    work.register(new Numbers(4));
    expect(await work.run()).toMatchObject({ status: 'completed', pages: 2, items: 4, done: 2, failed: 2 });
    expect((await work.jobs.deadLetters()).map(({ payload }) => payload)).toEqual([2, 3]);
  });

  test('may find nothing at all', async () => {
    work.register(pages({ items: [], next: undefined }));
    expect(await work.run()).toMatchObject({ status: 'completed', pages: 1, items: 0 });
  });

  test('tells its progress, as JSON as well', async () => {
    work.held = deferred();
    work.register(new Numbers(4));
    const started = work.jobs.processCursorData(NAME);
    await settle();
    expect(started.progress()).toEqual({ pages: 0, items: 2, done: 0, failed: 0 });
    work.held.resolve();
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
    work.register(new Numbers(2));
    const started = work.jobs.processCursorData(NAME);
    await started.completed;
    expect(inspect(started, { breakLength: Infinity })).toBe(
      `CursorRun { name: '${NAME}', pages: 1, items: 2, done: 2, failed: 0 }`,
    );
  });

  test('hands a page that is larger than the queue over as there is room', async () => {
    await work.restart({ process: { maxQueueSize: 2 } });
    work.register(new Numbers(20), { pageSize: 10 });
    expect(await work.run()).toMatchObject({ status: 'completed', pages: 2, items: 20, done: 20 });
  });

  test('fetches the next page while one is worked on, and never a further one', async () => {
    for (const item of [2, 3, 4]) work.gates.set(item, deferred());
    const source = new Numbers(8);
    work.register(source);
    const ran = work.run();
    await settle();
    expect([work.worked, source.fetched]).toEqual([
      [1, 2],
      [undefined, 2],
    ]);
    work.gates.get(2)!.resolve();
    await settle();
    expect([work.worked, source.fetched]).toEqual([
      [1, 2, 3],
      [undefined, 2, 4],
    ]);
    work.gates.get(3)!.resolve();
    work.gates.get(4)!.resolve();
    expect(await ran).toMatchObject({ pages: 4 });
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
      /expected next to be a JSON value, .* got the function next/,
    ],
    ['a position that is a bigint', { items: [], next: 5n }, /expected next to be a JSON value, .* got 5n/],
    ['a Date', { items: [], next: new Date() }, /which a cursor cache gives back as it was, got a Date$/],
    [
      'a position with a Date in it',
      { items: [], next: { at: [new Date()], id: 5, shard: undefined } },
      /as it was, got a Date at "at.0"$/,
    ],
    ['a position with a gap', { items: [], next: [1, undefined] }, /as it was, got undefined at "1"$/],
    [
      'a position that is an id of a database',
      { items: [], next: { toJSON: () => 'id' } },
      /as it was, got an object$/,
    ],
    [
      'a position that is no number',
      { items: [], next: NaN },
      /expected next to be a JSON value, .* got NaN/,
    ],
    [
      'a position with a circle',
      { items: [], next: cyclic },
      /expected next to be a JSON value, .* got an object/,
    ],
  ])('by returning %s', async (_, page, message) => {
    work.register(pages(page));
    const { status, error } = await work.run();
    expect(status).toBe('failed');
    expect(error).toMatchObject({ code: 'INVALID_PAGE', message: expect.stringMatching(message) });
    expect(await work.cache.load(NAME)).toBeUndefined();
  });

  test('by giving a page its own cursor as the next', async () => {
    work.register(pages({ items: ['a'], next: { id: 1 } }, { items: ['b'], next: { id: 1 } }));
    const { status, error } = await work.run();
    expect(status).toBe('failed');
    expect(error!.message).toMatch(/the page after cursor \{"id":1\} has the same cursor as its next/);
    expect(await work.cache.load(NAME)).toEqual({ id: 1 });
    expect(work.worked).toEqual(['a']);
  });

  test('by throwing what is no error', async () => {
    work.register({ fetchPage: () => Promise.reject('down') });
    expect(await work.run()).toMatchObject({
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
    work.register(pages({ items, next: undefined }));
    expect(await work.run()).toMatchObject({
      status: 'failed',
      pages: 0,
      error: { message: 'connection lost' },
    });
  });
});
