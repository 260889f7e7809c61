import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { DataSource } from 'typeorm';
import { JobProcess, type RowOutcome } from '../../../src/index.js';
import {
  getWorkerEntities,
  getWorkerMigrations,
  TypeOrmUploadStore,
  WorkerUpload,
} from '../../../src/typeorm.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';

let primary: TestDatabase;
/** A replica that learns nothing in time. */
let replica: TestDatabase;
let dataSource: DataSource;
let store: TypeOrmUploadStore;

const entities = getWorkerEntities();

async function createTables({ url }: TestDatabase): Promise<void> {
  const migrations = getWorkerMigrations();
  const migrated = new DataSource({ type: 'postgres', url, entities, migrations, migrationsRun: true });
  await migrated.initialize();
  await migrated.destroy();
}

beforeAll(async () => {
  [primary, replica] = [await createTestDatabase(), await createTestDatabase()];
  await createTables(primary);
  await createTables(replica);
});
beforeEach(async () => {
  const replication = { master: { url: primary.url }, slaves: [{ url: replica.url }] };
  dataSource = await new DataSource({ type: 'postgres', replication, entities }).initialize();
  store = new TypeOrmUploadStore(dataSource);
});
afterEach(async () => {
  await dataSource.query('TRUNCATE worker_uploads, worker_upload_rows');
  await dataSource.destroy();
});
afterAll(async () => {
  await primary.drop();
  await replica.drop();
});

const upload = () => store.receive({ name: 'users.csv', type: 'rows' }, ['a', 'b']);
const done = (number: number): RowOutcome => ({ number, attempts: 1, state: 'done' });

test('an upload is received, and found at once', async () => {
  const received = await upload();
  expect(received).toMatchObject({ status: 'received', rows: 2 });
  expect(await store.find(received.id)).toEqual(received);
  // What TypeORM finds by itself is what the replica has.
  expect(await dataSource.manager.find(WorkerUpload)).toEqual([]);
  expect(await store.list({ status: 'received' })).toMatchObject([received]);
  expect(await store.readPage(received.id, 0, 5)).toEqual([
    { number: 1, payload: 'a' },
    { number: 2, payload: 'b' },
  ]);
});

test('an upload that breaks off is cleared away', async () => {
  await expect(store.receive({ name: 'users.csv', type: 'rows' }, ['a', 5n])).rejects.toMatchObject({
    code: 'INVALID_ROW',
  });
  expect(await store.list()).toMatchObject([{ status: 'aborted', rows: 0 }]);
});

test('an upload is worked off as soon as it is received, and its end is that of all its rows', async () => {
  const jobs = new JobProcess({ uploadStore: store });
  const worked: unknown[] = [];
  jobs.register('rows', { processItem: (row) => void worked.push(row) });
  try {
    const { id } = await upload();
    const run = await jobs.processUserUpload(id);
    expect(await run.completed).toMatchObject({ status: 'completed', done: 2 });
    expect(await store.find(id)).toMatchObject({ status: 'completed', done: 2 });
    expect(worked).toEqual(['a', 'b']);
  } finally {
    await jobs.shutdown();
  }
});

test('an upload that is worked on is not taken for one that is gone', async () => {
  const { id } = await upload();
  await store.start(id);
  await expect(store.discard(id)).rejects.toMatchObject({ code: 'UPLOAD_IN_USE', status: 'processing' });
  await store.recordOutcomes(id, [done(1), done(2)]);
  expect(await store.finish(id)).toMatchObject({ id, status: 'completed', done: 2 });
  expect(await store.discard(id)).toBe(true);
  expect(await store.find(id)).toBeUndefined();
});
