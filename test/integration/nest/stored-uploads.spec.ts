import { describe, expect, jest, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { JobProcess, type RowOutcome, type UploadStatus } from '../../../src/index.js';
import { TypeOrmUploadStore, WorkerUpload, WorkerUploadRow } from '../../../src/typeorm.js';
import { until } from '../../support/until.js';
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

const LIMIT_MS = 10_000;
const HOUR_MS = 3_600_000;

/** An upload that began to come in some time ago. */
async function stored(status: UploadStatus, hoursAgo = 0): Promise<string> {
  const id = randomUUID();
  const createdAt = new Date(Date.now() - hoursAgo * HOUR_MS);
  await dataSource.getRepository(WorkerUpload).insert({ id, name: 'x', type: 'rows', status, createdAt });
  await dataSource.getRepository(WorkerUploadRow).insert({ uploadId: id, number: 1, payload: 'left' });
  return id;
}

/** What another process stores. */
const elsewhere = () => new TypeOrmUploadStore(dataSource);

/** Rows that come when they are let go; the first thousand at once. */
function slowRows() {
  const begun = gate();
  const rest = gate();
  const asked = { rows: 0 };
  const rows = (async function* () {
    for (asked.rows = 1; asked.rows <= 5_000; asked.rows++) {
      if (asked.rows === 1_002) {
        begun.open();
        await rest.opened;
      }
      yield asked.rows;
    }
  })();
  return { rows, asked, begun: begun.opened, letGo: () => rest.open() };
}

const done = (number: number): RowOutcome => ({ number, attempts: 1, state: 'done' });
const failed = (number: number): RowOutcome => ({ number, attempts: 1, state: 'failed', error: 'no' });

const codeOf = ({ code }: { readonly code: string }) => code;

const ids = async (...query: Parameters<typeof store.list>) =>
  (await store.list(...query)).map(({ id }) => id);

describe('a list of uploads', () => {
  test('has those of a status and an age, the oldest first', async () => {
    const old = await stored('receiving', 30);
    const older = await stored('receiving', 31);
    const recent = await stored('receiving');
    const ended = await stored('completed', 29);
    expect(await ids()).toEqual([older, old, ended, recent]);
    expect(await ids({ status: 'receiving' })).toEqual([older, old, recent]);
    expect(await ids({ status: 'receiving', olderThanMs: 24 * HOUR_MS })).toEqual([older, old]);
    expect(await ids({ olderThanMs: 30.5 * HOUR_MS, limit: 5 })).toEqual([older]);
    expect(await ids({ limit: 1 })).toEqual([older]);
    expect(await ids({ status: 'aborted' })).toEqual([]);
  });

  test('says of each what it is, and since when', async () => {
    const received = await upload(['a', 'b']);
    expect(await store.list()).toEqual([{ ...received, createdAt: expect.any(Date), finishedAt: null }]);
  });

  test.each([
    [
      { status: 'recieving' },
      'status: expected the status of an upload (known: receiving, received, processing, completed, ' +
        'completed-with-failures, aborted), got "recieving"',
    ],
    [{ olderThanMs: -1 }, 'olderThanMs: expected a number from 0 to 3155760000000, got -1'],
    [{ limit: 0 }, 'limit: expected a whole number of 1 or more, got 0'],
    [{ state: 'x' }, 'state: unknown option; expected one of status, olderThanMs, limit'],
    [null, 'options: expected an object, got null'],
  ])('is refused when it is asked for %j', async (query, problem) => {
    await expect(store.list(query as never)).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      message: `list(): ${problem}`,
    });
  });
});

describe('an upload is discarded', () => {
  test.each<UploadStatus>(['receiving', 'received', 'completed', 'completed-with-failures', 'aborted'])(
    'with its rows, and with nothing else, when it is %s',
    async (status) => {
      const id = await stored(status);
      const other = await upload(['a']);
      expect(await store.discard(id)).toBe(true);
      expect(await store.find(id)).toBeUndefined();
      expect(await rowsOf(id)).toEqual([]);
      expect(await store.find(other.id)).toEqual(other);
      expect(await rowsOf(other.id)).toHaveLength(1);
      expect(await store.discard(id)).toBe(false);
    },
  );

  test.each(['6f2ca6d5-5b1c-4a0b-9c3e-0f6ad2f7f0aa', 'users.csv', '', undefined as never])(
    'not when there is none: %s',
    async (id) => {
      expect(await store.discard(id)).toBe(false);
    },
  );

  test('not while it is worked on', async () => {
    const { id } = await upload(['a', 'b']);
    const held = rowWork.holdAt('a');
    const jobs = (await application()).get(JobProcess);
    const run = await jobs.processUserUpload(id);
    await held.reached;
    await expect(store.discard(id)).rejects.toMatchObject({
      code: 'UPLOAD_IN_USE',
      uploadId: id,
      status: 'processing',
      message: `Upload "${id}": expected one that nobody works on, got one that is processing`,
    });
    held.letGo();
    expect(await run.completed).toMatchObject({ status: 'completed', done: 2 });
    expect(await store.discard(id)).toBe(true);
    await expect(jobs.processUserUpload(id)).rejects.toMatchObject({ code: 'UNKNOWN_UPLOAD' });
  });

  test('not while it comes in by the same store', async () => {
    const slow = slowRows();
    const receiving = upload(slow.rows);
    await slow.begun;
    const [{ id }] = (await store.list()) as [WorkerUpload];
    await expect(store.discard(id)).rejects.toMatchObject({ code: 'UPLOAD_IN_USE', status: 'receiving' });
    slow.letGo();
    expect(await receiving).toMatchObject({ id, status: 'received', rows: 5_000 });
    expect(await store.discard(id)).toBe(true);
  });

  test('while it comes in elsewhere: it is not received there, and nothing of it is left', async () => {
    const slow = slowRows();
    const receiving = elsewhere().receive({ name: 'users.csv', type: 'rows' }, slow.rows);
    await slow.begun;
    const [{ id }] = (await store.list()) as [WorkerUpload];
    expect(await store.discard(id)).toBe(true);
    slow.letGo();
    await expect(receiving).rejects.toMatchObject({
      code: 'UPLOAD_DISCARDED',
      uploadId: id,
      message: `Upload "${id}" was discarded while it was received; receive it anew`,
    });
    // It notices with the next thousand, and lets the sender go.
    expect(slow.asked.rows).toBe(2_000);
    expect(await store.list()).toEqual([]);
    expect(await dataSource.getRepository(WorkerUploadRow).count()).toBe(0);
  });

  test('while it comes in elsewhere without any row', async () => {
    const begun = gate();
    const rest = gate();
    const receiving = elsewhere().receive(
      { name: 'users.csv', type: 'rows' },
      (async function* () {
        begun.open();
        await rest.opened;
        yield* [];
      })(),
    );
    await begun.opened;
    const [{ id }] = (await store.list()) as [WorkerUpload];
    expect(await store.discard(id)).toBe(true);
    rest.open();
    await expect(receiving).rejects.toMatchObject({ code: 'UPLOAD_DISCARDED' });
    expect(await store.list()).toEqual([]);
  });

  test('with the rows that are being written elsewhere at that moment', async () => {
    const first = gate();
    const rest = gate();
    const receiving = elsewhere().receive(
      { name: 'users.csv', type: 'rows' },
      (async function* () {
        await first.opened;
        for (let row = 1; row <= 1_000; row++) yield row;
        await rest.opened;
      })(),
    );
    const [{ id }] = (await until(
      () => store.list(),
      ({ length }) => length > 0,
      LIMIT_MS,
    )) as [WorkerUpload];
    const inTheWay = { uploadId: id, number: 1, payload: 'in the way' };
    await whileHeld(
      ({ manager }) => manager.insert(WorkerUploadRow, inTheWay),
      async (holder) => {
        first.open();
        expect(await waitingForLocks(1)).toBe(1);
        const discarding = store.discard(id);
        expect(await waitingForLocks(2)).toBe(2);
        await holder.rollbackTransaction();
        expect(await discarding).toBe(true);
      },
    );
    expect(await rowsOf(id)).toEqual([]);
    rest.open();
    await expect(receiving).rejects.toMatchObject({ code: 'UPLOAD_DISCARDED' });
  });

  test.each([
    ['before', [true, 'UNKNOWN_UPLOAD']],
    ['after', [undefined, true]],
  ])('while outcomes of its rows come, %s they do', async (order, answers) => {
    const { id } = await upload(['a', 'b']);
    await store.recordOutcomes(id, [failed(1), failed(2)]);
    await store.finish(id);
    const calls: (() => Promise<unknown>)[] = [
      () => store.recordOutcomes(id, [done(1), done(2)]).catch(codeOf),
      () => store.discard(id),
    ];
    if (order === 'before') calls.reverse();
    await whileHeld(
      (holder) => holder.query('SELECT FROM worker_upload_rows WHERE number = 2 FOR UPDATE'),
      async (holder) => {
        const called = [calls[0]!()];
        expect(await waitingForLocks(1)).toBe(1);
        called.push(calls[1]!());
        expect(await waitingForLocks(2)).toBe(2);
        await holder.rollbackTransaction();
        expect(await Promise.all(called)).toEqual(answers);
      },
    );
    expect(await store.list()).toEqual([]);
    expect(await dataSource.getRepository(WorkerUploadRow).count()).toBe(0);
  });

  test('while outcomes of its rows come, many a time, and they lock nothing crosswise', async () => {
    const numbers = Array.from({ length: 300 }, (_, index) => index + 1);
    for (let round = 0; round < 30; round++) {
      const { id } = await upload(numbers);
      await store.recordOutcomes(
        id,
        numbers.map((number) => failed(number)),
      );
      await store.finish(id);
      const redriven = [numbers.slice(0, 100), numbers.slice(50, 250), numbers.toReversed(), numbers];
      const recording = redriven.map((rows) =>
        store
          .recordOutcomes(
            id,
            rows.map((number) => done(number)),
          )
          .catch(codeOf),
      );
      const answers = await Promise.all([...recording, store.discard(id)]);
      for (const answer of answers) expect([undefined, true, 'UNKNOWN_UPLOAD']).toContain(answer);
    }
    expect(await store.list()).toEqual([]);
    expect(await dataSource.getRepository(WorkerUploadRow).count()).toBe(0);
  });

  test('before its dead letters are redriven: their outcomes are told as not written', async () => {
    rowWork.handle = () => {
      throw new Error('bad');
    };
    const app = await application();
    const jobs = app.get(JobProcess);
    const { id } = await upload(['a', 'b']);
    expect(await processed(jobs, id)).toMatchObject({ status: 'completed-with-failures', failed: 2 });
    expect(await store.discard(id)).toBe(true);

    const failures: { readonly rows: readonly number[]; readonly error: Error }[] = [];
    jobs.on('outcomesNotWritten', (failure) => failures.push(failure));
    rowWork.workAnew();
    await jobs.redriveDeadLetters({ type: 'rows' });
    await jobs.waitForCompletion();
    await app.close();
    expect(new Set(failures.flatMap(({ rows }) => rows))).toEqual(new Set([1, 2]));
    for (const { error } of failures) expect(error).toMatchObject({ code: 'UNKNOWN_UPLOAD', uploadId: id });
  });

  test('just before its run begins: the run fails, and says why', async () => {
    const { id } = await upload(['a']);
    const app = await application();
    const start = jest.spyOn(TypeOrmUploadStore.prototype, 'start').mockImplementationOnce(async () => {
      await store.discard(id);
      return store.start(id);
    });
    expect(await processed(app.get(JobProcess), id)).toMatchObject({
      status: 'failed',
      rows: 0,
      error: { code: 'UNKNOWN_UPLOAD', uploadId: id },
    });
    start.mockRestore();
  });
});

describe('a start that comes late', () => {
  test('leaves an upload that has ended as it is', async () => {
    const { id } = await upload(['a']);
    await store.recordOutcomes(id, [{ number: 1, attempts: 1, state: 'done' }]);
    const finished = await store.finish(id);
    await store.start(id);
    expect(await store.find(id)).toEqual(finished);
    expect(await store.list()).toMatchObject([{ finishedAt: expect.any(Date) }]);
  });

  test('is refused when the upload is gone, as its outcomes and its end are', async () => {
    const id = randomUUID();
    await expect(store.recordOutcomes(id, [done(1)])).rejects.toMatchObject({
      code: 'UNKNOWN_UPLOAD',
      uploadId: id,
    });
    await expect(store.start(id)).rejects.toMatchObject({ code: 'UNKNOWN_UPLOAD', uploadId: id });
    await expect(store.finish(id)).rejects.toMatchObject({ code: 'UNKNOWN_UPLOAD', uploadId: id });
  });
});
