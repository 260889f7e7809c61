import { describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { JobProcess, WorkerModule } from '../../../src/index.js';
import { WorkerUpload } from '../../../src/typeorm.js';
import { gate, nextEvent, startApplication } from './applications.js';
import { rowWork, RowWorker } from './row-work.js';
import { application, dataSource, processed, rowsOf, store, upload } from './uploads-database.js';

describe('uploads are worked off', () => {
  test('page by page, with an outcome for each row', async () => {
    const { id } = await upload(['a', 'flaky', 'bad', 'b', 'c']);
    rowWork.handle = (item, attempt) => {
      rowWork.worked.push(item);
      if (item === 'bad') throw new Error('no \u0000 such user');
      if (item === 'flaky' && attempt === 1) throw new Error('try again');
    };
    const app = await application(2);
    const ended = nextEvent(app, 'uploadEnded');
    const result = await processed(app.get(JobProcess), id);
    expect(result).toEqual({
      uploadId: id,
      status: 'completed-with-failures',
      rows: 5,
      done: 4,
      failed: 1,
      error: undefined,
    });
    expect(await ended).toEqual(result);
    expect((await rowsOf(id)).map(({ state, attempts, error }) => [state, attempts, error])).toEqual([
      ['done', 1, null],
      ['done', 2, null],
      ['failed', 2, 'no \ufffd such user'],
      ['done', 1, null],
      ['done', 1, null],
    ]);
    expect(await store.find(id)).toMatchObject({ status: 'completed-with-failures', done: 4, failed: 1 });
    expect(await dataSource.getRepository(WorkerUpload).findOneBy({ id })).toMatchObject({
      finishedAt: expect.any(Date),
    });
  });

  test('in the order of their numbers, all 10,000 of them', async () => {
    const { id } = await upload(Array.from({ length: 10_000 }, (_, index) => index));
    const app = await application();
    expect(await processed(app.get(JobProcess), id)).toMatchObject({ status: 'completed', rows: 10_000 });
    expect(rowWork.worked).toEqual(Array.from({ length: 10_000 }, (_, index) => index));
    expect(await store.find(id)).toMatchObject({ status: 'completed', done: 10_000 });
  });

  test('when there are none', async () => {
    const { id } = await upload([]);
    const app = await application();
    expect(await processed(app.get(JobProcess), id)).toMatchObject({ status: 'completed', rows: 0 });
    expect(await store.find(id)).toMatchObject({ status: 'completed' });
  });

  test('once, however many ask at the same time', async () => {
    const { id } = await upload(['a', 'b']);
    const app = await application();
    const jobs = app.get(JobProcess);
    const runs = await Promise.all([jobs.processUserUpload(id), jobs.processUserUpload(id)]);
    expect(runs[0]).toBe(runs[1]);
    await runs[0].completed;
    expect(rowWork.worked).toEqual(['a', 'b']);

    rowWork.worked = [];
    expect(await processed(jobs, id)).toMatchObject({ status: 'completed', rows: 0 });
    expect(rowWork.worked).toEqual([]);
  });

  test('while others are being received', async () => {
    const more = gate();
    const { id } = await upload(['a']);
    const receiving = upload(
      (async function* () {
        yield 'x';
        await more.opened;
        yield 'y';
      })(),
    );
    const app = await application();
    const jobs = app.get(JobProcess);
    expect(await processed(jobs, id)).toMatchObject({ status: 'completed' });
    const [incomplete] = await dataSource.getRepository(WorkerUpload).findBy({ status: 'receiving' });
    await expect(jobs.processUserUpload(incomplete!.id)).rejects.toThrow(/got one that is receiving/);
    more.open();
    const received = await receiving;
    expect(await processed(jobs, received.id)).toMatchObject({ status: 'completed', rows: 2 });
    expect(rowWork.worked).toEqual(['a', 'x', 'y']);
  });

  test('with their progress, until they are cancelled: rows without an outcome wait for another run', async () => {
    const { id } = await upload(['a', 'b', 'c', 'd']);
    const held = rowWork.holdAt('c');
    const app = await application(2);
    const jobs = app.get(JobProcess);
    const run = await jobs.processUserUpload(id);
    await held.reached;
    expect(JSON.parse(JSON.stringify(run))).toEqual({ uploadId: id, total: 4, done: 2, failed: 0 });
    run.cancel();
    held.letGo();
    expect(await run.completed).toMatchObject({ status: 'cancelled', done: 3 });
    expect((await rowsOf(id)).map(({ state }) => state)).toEqual(['done', 'done', 'done', 'pending']);
    expect(await processed(jobs, id)).toMatchObject({ status: 'completed', rows: 1 });
    expect(rowWork.worked).toEqual(['a', 'b', 'c', 'd']);
  });

  test('after an interruption: only the rows without an outcome', async () => {
    const { id } = await upload(['a', 'bad', 'c', 'd', 'e']);
    const held = rowWork.holdAt('d', new Set(['bad']));
    const first = await application(2);
    const run = await first.get(JobProcess).processUserUpload(id);
    await held.reached;
    await first.close();
    expect(await run.completed).toMatchObject({ status: 'interrupted', done: 2, failed: 1 });
    expect(await store.find(id)).toMatchObject({ status: 'processing', done: 2, failed: 1 });
    await expect(first.get(JobProcess).processUserUpload(id)).rejects.toMatchObject({
      code: 'PROCESS_CLOSED',
    });

    held.letGo();
    rowWork.workAnew();
    const second = await application(2);
    expect(await processed(second.get(JobProcess), id)).toMatchObject({ rows: 2, done: 2, failed: 0 });
    expect(rowWork.worked).toEqual(['d', 'e']);
    expect(await store.find(id)).toMatchObject({ status: 'completed-with-failures', done: 4, failed: 1 });
  });

  test('not when their worker type is unknown, and are left as they were', async () => {
    const { id } = await upload(['a'], 'row');
    const jobs = (await application()).get(JobProcess);
    await expect(jobs.processUserUpload(id)).rejects.toMatchObject({ code: 'UNKNOWN_WORKER_TYPE' });
    expect(await store.find(id)).toMatchObject({ status: 'received' });
    jobs.register('row', { processItem: (item) => void rowWork.worked.push(item) });
    expect(await processed(jobs, id)).toMatchObject({ status: 'completed' });
    expect(rowWork.worked).toEqual(['a']);
  });

  test('to their end when a dead letter is redriven, during the run and long after it', async () => {
    const { id } = await upload(['a', 'b', 'c', 'd']);
    const broken = new Set(['a', 'd']);
    const held = rowWork.holdAt('c', broken);
    const app = await application(2);
    const jobs = app.get(JobProcess);
    const run = await jobs.processUserUpload(id);
    await held.reached;
    expect(await store.find(id)).toMatchObject({ status: 'processing', done: 1, failed: 1 });
    broken.delete('a');
    await jobs.redriveDeadLetters({ type: 'rows' });
    held.letGo();
    expect(await run.completed).toMatchObject({ status: 'completed-with-failures', done: 3, failed: 1 });
    expect(await store.find(id)).toMatchObject({ status: 'completed-with-failures', done: 3, failed: 1 });

    broken.clear();
    await jobs.redriveDeadLetters({ type: 'rows' });
    // What was taken in by then is written before the end.
    await jobs.waitForCompletion();
    await app.close();
    expect(await store.find(id)).toMatchObject({ status: 'completed', done: 4, failed: 0 });
    expect((await rowsOf(id)).map(({ state, attempts, error }) => [state, attempts, error])).toEqual(
      Array.from({ length: 4 }, () => ['done', 1, null]),
    );
  });

  test('not when there is none of the id', async () => {
    const jobs = (await application()).get(JobProcess);
    for (const id of [
      randomUUID(),
      'users.csv',
      '',
      "'; DROP TABLE worker_uploads; --",
      undefined as never,
    ]) {
      await expect(jobs.processUserUpload(id)).rejects.toMatchObject({
        code: 'UNKNOWN_UPLOAD',
        uploadId: id,
      });
    }
  });

  test('not without a store', async () => {
    const app = await startApplication({
      imports: [WorkerModule.forRoot({ reportIntervalMs: 0 })],
      providers: [RowWorker],
    });
    await expect(app.get(JobProcess).processUserUpload(randomUUID())).rejects.toMatchObject({
      code: 'NO_UPLOAD_STORE',
      message: expect.stringMatching(/TypeOrmUploadStore of nestjs-background-worker\/typeorm/),
    });
  });
});
