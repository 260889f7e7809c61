import { describe, expect, jest, test } from '@jest/globals';
import { Client } from 'pg';
import { JobProcess, type RowOutcome, type Upload } from '../../../src/index.js';
import {
  getWorkerEntities,
  getWorkerMigrations,
  WorkerUpload,
  WorkerUploadRow,
} from '../../../src/typeorm.js';
import { gate } from './applications.js';
import { rowWork } from './row-work.js';
import {
  application,
  dataSource,
  processed,
  rowsOf,
  store,
  upload,
  waitingForLocks,
  whileHeld,
} from './uploads-database.js';

/** Rows up to `last`, and then the error if there is one. */
async function* numbered(last: number, error?: Error) {
  for (let number = 1; number <= last; number++) {
    if (number % 1_000 === 0) await Promise.resolve();
    yield { number };
  }
  if (error !== undefined) throw error;
}

const done = (number: number, attempts = 1): RowOutcome => ({ number, attempts, state: 'done' });
const failed = (number: number, error: string, attempts = 1): RowOutcome => ({
  number,
  attempts,
  state: 'failed',
  error,
});

/** Statements that are carried out, but whose answers never come, as the connection broke. */
function loseAnswers(areLost: (call: string) => boolean) {
  const query = Reflect.get(Client.prototype, 'query') as (...args: unknown[]) => Promise<unknown>;
  const lose = async (client: Client, args: unknown[]) => {
    const answer = await query.apply(client, args);
    if (areLost(JSON.stringify(args))) throw new Error('Connection terminated unexpectedly');
    return answer;
  };
  return jest.spyOn(Client.prototype, 'query').mockImplementation(function (
    this: Client,
    ...args: unknown[]
  ): unknown {
    return lose(this, args);
  });
}

/** How many rows of uploads Postgres plans with; -1: it has not counted them. */
const countedRows = async () => {
  const [{ reltuples }] = await dataSource.query<[{ reltuples: number }]>(
    "SELECT reltuples FROM pg_class WHERE oid = 'worker_upload_rows'::regclass",
  );
  return reltuples;
};

const statesOf = async (id: string) =>
  (await rowsOf(id)).map(({ state, attempts, error }) => [state, attempts, error]);

describe('uploads', () => {
  test('have entities that say what the migrations made', async () => {
    expect((await dataSource.driver.createSchemaBuilder().log()).upQueries.map(({ query }) => query)).toEqual(
      [],
    );
    expect(getWorkerEntities()).toEqual([WorkerUpload, WorkerUploadRow]);
  });

  test('have migrations that can be undone', async () => {
    for (const _ of getWorkerMigrations()) await dataSource.undoLastMigration();
    expect(await dataSource.query("SELECT tablename FROM pg_tables WHERE tablename LIKE 'worker_%'")).toEqual(
      [],
    );
    await dataSource.runMigrations();
  });

  describe('are received', () => {
    test('row by row, as a source gives them', async () => {
      const received = await upload(numbered(2_500));
      expect(received).toEqual({
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        name: 'users.csv',
        type: 'rows',
        status: 'received',
        rows: 2_500,
        done: 0,
        failed: 0,
      });
      expect(await store.find(received.id)).toEqual(received);
      expect(await store.readPage(received.id, 999, 2)).toEqual([
        { number: 1_000, payload: { number: 1_000 } },
        { number: 1_001, payload: { number: 1_001 } },
      ]);
      expect(await store.readPage(received.id, 2_499, 5)).toHaveLength(1);
      expect(await store.readPage(received.id, 2_500, 5)).toEqual([]);
    });

    test('before a thousand of them have come when they are large, as one statement takes no end of them', async () => {
      const large = 'x'.repeat(999_998);
      const written: number[] = [];
      const { id } = await upload(
        (async function* () {
          for (let number = 1; number <= 18; number++) {
            yield large;
            written.push(await dataSource.getRepository(WorkerUploadRow).count());
          }
        })(),
      );
      expect(written).toEqual([0, 0, 0, 0, 0, 0, 0, 8, 8, 8, 8, 8, 8, 8, 8, 16, 16, 16]);
      const page = await store.readPage(id, 0, 100);
      expect(page.map(({ number, payload }) => [number, payload === large])).toEqual(
        Array.from({ length: 18 }, (_, index) => [index + 1, true]),
      );
    });

    test('with a new count for the plans of Postgres when there are many', async () => {
      const before = await countedRows();
      await upload(numbered(10_000));
      expect([before, await countedRows()]).toEqual([-1, 10_000]);
    });

    test('though their table can not be had for a new count, and without waiting for it', async () => {
      await whileHeld(
        (holder) => holder.query('LOCK TABLE worker_upload_rows IN SHARE UPDATE EXCLUSIVE MODE'),
        async () => {
          const query = jest.spyOn(dataSource, 'query');
          try {
            const received = await upload(numbered(10_000));
            expect(received).toMatchObject({ status: 'received', rows: 10_000 });
            expect(await store.find(received.id)).toEqual(received);
            // Had it waited, it would have come to the limit for locks.
            const counting = query.mock.calls.findIndex(([statement]) => statement.startsWith('ANALYZE'));
            await expect(query.mock.results[counting]?.value).resolves.toBeDefined();
          } finally {
            query.mockRestore();
          }
        },
      );
    });

    test('though the new count failed, as it is made when they are', async () => {
      const calls: string[] = [];
      const lost = loseAnswers((call) => {
        const [known] = /ANALYZE|SET status = 'received'/.exec(call) ?? [];
        if (known !== undefined) calls.push(known);
        return known === 'ANALYZE';
      });
      const received = await upload(numbered(10_000)).finally(() => lost.mockRestore());
      expect(received).toMatchObject({ status: 'received', rows: 10_000 });
      expect(await store.find(received.id)).toEqual(received);
      expect(calls).toEqual(["SET status = 'received'", 'ANALYZE']);
    });

    test('though the answer that said so was lost', async () => {
      const lost = loseAnswers((call) => /UPDATE.*SET.*received/.test(call));
      const received = await upload(['a', 'b']).finally(() => lost.mockRestore());
      expect(received).toMatchObject({ status: 'received', rows: 2 });
      expect(await store.find(received.id)).toEqual(received);
      expect(await rowsOf(received.id)).toHaveLength(2);
    });

    test('not at all when the source breaks off: nothing is left but the record', async () => {
      await expect(upload(numbered(1_500, new Error('connection reset')))).rejects.toThrow(
        'connection reset',
      );
      const [record] = await dataSource.getRepository(WorkerUpload).find();
      expect(record).toMatchObject({ status: 'aborted', rows: 0 });
      expect(await rowsOf(record!.id)).toEqual([]);
      const app = await application();
      await expect(app.get(JobProcess).processUserUpload(record!.id)).rejects.toMatchObject({
        code: 'UPLOAD_NOT_READY',
        message: expect.stringMatching(/expected one that was received in full, got one that is aborted/),
      });
    });

    test('not at all, with both reasons when what came in can not be cleared away either', async () => {
      const broken = new Error('connection reset');
      const receiving = upload(
        (async function* () {
          yield 'a';
          await dataSource.query('ALTER TABLE worker_upload_rows RENAME TO rows_elsewhere');
          throw broken;
        })(),
      );
      const error = await receiving.catch((thrown: unknown) => thrown as AggregateError);
      await dataSource.query('ALTER TABLE rows_elsewhere RENAME TO worker_upload_rows');
      expect(error).toBeInstanceOf(AggregateError);
      const { message, cause, errors } = error as AggregateError;
      expect(message).toMatch(
        /^connection reset; what came in of upload [0-9a-f-]{36} could not be cleared away: .*worker_upload_rows.* does not exist$/,
      );
      expect(cause).toBe(broken);
      expect(errors).toEqual([broken, expect.objectContaining({ code: '42P01' })]);
    });

    test('not at all, nor are rows left that were still being written when the source broke off', async () => {
      const begun = gate();
      const rest = gate();
      const receiving = upload(
        (async function* () {
          begun.open();
          await rest.opened;
          yield* [];
          throw new Error('connection reset');
        })(),
      );
      await begun.opened;
      const [{ id }] = (await store.list()) as [WorkerUpload];
      await whileHeld(
        async ({ manager }) => {
          await manager.query('SELECT FROM worker_uploads FOR KEY SHARE');
          await manager.insert(WorkerUploadRow, { uploadId: id, number: 1, payload: 'late' });
        },
        async (holder) => {
          rest.open();
          expect(await waitingForLocks(1)).toBe(1);
          await holder.commitTransaction();
          await expect(receiving).rejects.toThrow('connection reset');
        },
      );
      expect(await store.list()).toMatchObject([{ status: 'aborted' }]);
      expect(await rowsOf(id)).toEqual([]);
    });

    test('not at all, and are left with their record when that can not be said of it', async () => {
      await dataSource.query(
        "ALTER TABLE worker_uploads ADD CONSTRAINT never_aborted CHECK (status <> 'aborted')",
      );
      const receiving = upload(numbered(1_000, new Error('connection reset')));
      const error = await receiving.catch((thrown: unknown) => thrown);
      await dataSource.query('ALTER TABLE worker_uploads DROP CONSTRAINT never_aborted');
      expect(error).toMatchObject({
        message: expect.stringMatching(/^connection reset; .* could not be cleared away: .*never_aborted/),
      });
      expect(await store.list()).toMatchObject([{ status: 'receiving' }]);
      expect(await dataSource.getRepository(WorkerUploadRow).count()).toBe(1_000);
    });

    test.each([
      ['undefined', undefined, 'undefined'],
      ['a bigint in it', { name: 'Grace', age: 5n }, '5n at "age"'],
      ['bytes', Buffer.from('Ada'), 'a Buffer; make rows of the bytes first'],
    ])('not at all when a row is no JSON: %s', async (_, row, got) => {
      const rows = [...Array.from({ length: 1_500 }, (__, index) => index), row];
      await expect(upload(rows)).rejects.toMatchObject({
        code: 'INVALID_ROW',
        rowNumber: 1_501,
        message: `Row 1501: expected a JSON value, got ${got}`,
      });
      expect(await dataSource.getRepository(WorkerUploadRow).count()).toBe(0);
      expect(await store.list()).toMatchObject([{ status: 'aborted' }]);
    });

    const text = 'expected a text that is not empty, without NUL characters';
    const rows = 'rows: expected an array, an iterable or an async iterable of rows';
    const named = { name: 'users.csv', type: 'rows' };
    test.each<[string, unknown[], string]>([
      [
        'without any',
        [],
        `2 wrong options: upload: expected an object, got undefined; ${rows}, got undefined`,
      ],
      ['with null', [null, []], 'upload: expected an object, got null'],
      ['in another order', [[1], named], `${rows}, got an object`],
      [
        'with parts of an upload',
        [{ name: 5 }, []],
        `2 wrong options: upload.name: ${text}, got 5; upload.type: ${text}, got undefined`,
      ],
      ['with an empty name', [{ ...named, name: '' }, []], `upload.name: ${text}, got ""`],
      ['with a NUL', [{ ...named, type: 'a\0' }, []], `upload.type: ${text}, got "a\\u0000"`],
      [
        'with more than an upload has',
        [{ ...named, id: 1 }, []],
        'upload.id: unknown option; expected one of name, type',
      ],
      ['with a text for rows', [named, 'a\nb'], `${rows}, got "a\\nb"`],
      ['with bytes for rows', [named, Buffer.from('ab')], `${rows}, got a Buffer`],
      ['with one row for rows', [named, { id: 1 }], `${rows}, got an object`],
      ['with a promise for rows', [named, Promise.resolve([])], `${rows}, got a promise; await it first`],
      ['with null for rows', [named, null], `${rows}, got null`],
    ])('not at all, and leave nothing, when `receive` is called %s', async (_, args, problem) => {
      const receive = store.receive.bind(store) as (...any: unknown[]) => Promise<Upload>;
      await expect(receive(...args)).rejects.toMatchObject({
        code: 'INVALID_OPTIONS',
        message: expect.stringContaining(problem),
      });
      expect(await store.list()).toEqual([]);
    });

    test('whatever texts and keys they have', async () => {
      const payloads = [
        { text: 'a\u0000b', 'key\u0000': 1 },
        'lone \ud800 surrogate',
        JSON.parse('{"__proto__": {"polluted": true}, "constructor": 5}') as unknown,
        null,
        0,
        '',
        [[], {}],
        '\ud83d\ude00 \u2028',
        1.7976931348623157e308,
      ];
      const { id } = await upload(payloads);
      const app = await application();
      expect(await processed(app.get(JobProcess), id)).toMatchObject({
        status: 'completed',
        done: payloads.length,
      });
      expect(rowWork.worked).toEqual(payloads);
      expect(Object.hasOwn(rowWork.worked[2] as object, '__proto__')).toBe(true);
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    });
  });

  test('count no outcome twice, and none of a row that there is not', async () => {
    const { id }: Upload = await upload(['a', 'b', 'c']);
    const outcomes = [done(1), failed(2, 'no', 2), done(9)];
    await store.start(id);
    await store.recordOutcomes(id, outcomes);
    await store.recordOutcomes(id, outcomes);
    await store.recordOutcomes(id, []);
    expect(await store.find(id)).toMatchObject({ done: 1, failed: 1 });
    expect(await statesOf(id)).toEqual([
      ['done', 1, null],
      ['failed', 2, 'no'],
      ['pending', 0, null],
    ]);
    // One row has no outcome: the upload has not finished.
    expect(await store.finish(id)).toMatchObject({ status: 'processing' });
    expect(await dataSource.getRepository(WorkerUpload).findOneBy({ id })).toMatchObject({
      finishedAt: null,
    });
    await store.recordOutcomes(id, [failed(3, '')]);
    expect(await store.finish(id)).toMatchObject({ status: 'completed-with-failures', done: 1, failed: 2 });
  });

  test('count a row that failed as done when it is, and never the other way round', async () => {
    const { id } = await upload(['a', 'b']);
    await store.recordOutcomes(id, [failed(1, 'no'), failed(2, 'no')]);
    await store.recordOutcomes(id, [failed(1, 'not yet', 2)]);
    expect(await store.find(id)).toMatchObject({ done: 0, failed: 2 });
    expect(await statesOf(id)).toEqual([
      ['failed', 2, 'not yet'],
      ['failed', 1, 'no'],
    ]);
    for (let time = 0; time < 2; time++) await store.recordOutcomes(id, [done(1, 3)]);
    await store.recordOutcomes(id, [failed(1, 'no'), done(1, 5)]);
    expect(await statesOf(id)).toEqual([
      ['done', 3, null],
      ['failed', 1, 'no'],
    ]);
    expect(await store.finish(id)).toMatchObject({ status: 'completed-with-failures', done: 1, failed: 1 });
    await store.recordOutcomes(id, [done(2)]);
    expect(await store.finish(id)).toMatchObject({ status: 'completed', done: 2, failed: 0 });
  });

  test.each<[string, RowOutcome[], RowOutcome[], { done: number; failed: number }]>([
    ['the same outcome', [done(1)], [done(1)], { done: 1, failed: 0 }],
    ['a failure that is overtaken', [done(1)], [failed(1, 'no')], { done: 1, failed: 0 }],
    ['a failure that is made good', [failed(1, 'no')], [done(1)], { done: 1, failed: 0 }],
    ['two failures', [failed(1, 'no')], [failed(1, 'no')], { done: 0, failed: 1 }],
  ])('count a row once of which two calls at once write %s', async (_, first, second, counts) => {
    const { id } = await upload(['a']);
    await whileHeld(
      (holder) => holder.query('SELECT FROM worker_upload_rows FOR UPDATE'),
      async (holder) => {
        const writing = [store.recordOutcomes(id, first)];
        expect(await waitingForLocks(1)).toBe(1);
        writing.push(store.recordOutcomes(id, second));
        expect(await waitingForLocks(2)).toBe(2);
        await holder.rollbackTransaction();
        await Promise.all(writing);
      },
    );
    expect(await store.find(id)).toMatchObject(counts);
    const states = await dataSource.getRepository(WorkerUploadRow).find();
    expect(states.map(({ state }) => state)).toEqual([counts.done === 1 ? 'done' : 'failed']);
  });

  test('count each row once, however many write it at the same time, and lock nothing crosswise', async () => {
    const numbers = Array.from({ length: 200 }, (_, index) => index + 1);
    const { id } = await upload(numbers);
    const writeAtOnce = (...calls: RowOutcome[][]) =>
      Promise.all(
        calls.flatMap((call) => [call, call.toReversed()]).map((call) => store.recordOutcomes(id, call)),
      );
    for (let round = 0; round < 5; round++) {
      await dataSource.query("UPDATE worker_upload_rows SET state = 'pending'");
      await dataSource.query('UPDATE worker_uploads SET done = 0, failed = 0');
      await writeAtOnce(
        numbers.map((number) => failed(number, 'no')),
        numbers.filter((number) => number % 2 === 0).map((number) => done(number)),
        numbers.filter((number) => number % 3 === 0).map((number) => done(number)),
      );
      expect(await store.find(id)).toMatchObject({ done: 133, failed: 67 });
      expect(await dataSource.getRepository(WorkerUploadRow).countBy({ state: 'done' })).toBe(133);
      await writeAtOnce(
        numbers.map((number) => done(number)),
        numbers.map((number) => done(number)),
      );
      expect(await store.finish(id)).toMatchObject({ status: 'completed', done: 200, failed: 0 });
    }
  });
});
