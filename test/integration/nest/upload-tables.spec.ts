import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { DataSource, DefaultNamingStrategy, type DataSourceOptions } from 'typeorm';
import type { RowOutcome } from '../../../src/index.js';
import {
  getWorkerEntities,
  getWorkerMigrations,
  TypeOrmUploadStore,
  WorkerUpload,
  WorkerUploadRow,
} from '../../../src/typeorm.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';

/** Names tables by the classes, and columns that no entity names in capitals. */
class LoudNaming extends DefaultNamingStrategy {
  override tableName(className: string): string {
    return `TABLE OF ${className}`;
  }
  override columnName(property: string, named: string | undefined): string {
    return named ?? property.toUpperCase();
  }
}

type Naming = Pick<DataSourceOptions, 'entityPrefix' | 'namingStrategy'> & { readonly schema?: string };

const namings: [string, Naming, uploads: string][] = [
  ['in a schema', { schema: 'workers' }, 'workers.worker_uploads'],
  ['in a schema that has to be quoted', { schema: 'The Workers' }, '"The Workers"."worker_uploads"'],
  ['with a prefix', { entityPrefix: 'App_' }, '"App_worker_uploads"'],
  ['in a schema, with a prefix', { schema: 'workers', entityPrefix: 'app_' }, 'workers.app_worker_uploads'],
  ['by a naming strategy', { namingStrategy: new LoudNaming() }, '"TABLE OF WorkerUpload"'],
];

let database: TestDatabase;
let dataSource: DataSource;
beforeEach(async () => (database = await createTestDatabase()));
afterEach(async () => {
  await dataSource.destroy();
  await database.drop();
});

/** Connects where the tables are named so; the schema is there, the tables are not. */
async function connect(naming: Naming): Promise<void> {
  dataSource = await new DataSource({
    type: 'postgres',
    url: database.url,
    entities: getWorkerEntities(),
    migrations: getWorkerMigrations(),
    ...naming,
  }).initialize();
  if (naming.schema !== undefined) {
    await dataSource.query(`CREATE SCHEMA ${dataSource.driver.escape(naming.schema)}`);
  }
}

async function undoMigrations(): Promise<void> {
  for (const _ of getWorkerMigrations()) await dataSource.undoLastMigration();
}

const done = (number: number): RowOutcome => ({ number, attempts: 1, state: 'done' });

/** Everything that the store does. */
async function useStore(): Promise<void> {
  const store = new TypeOrmUploadStore(dataSource);
  const named = { name: 'users.csv', type: 'rows' };
  const { id } = await store.receive(named, Array.from({ length: 10_000 }).fill('a'));
  await expect(store.receive(named, [5n])).rejects.toMatchObject({ code: 'INVALID_ROW' });
  await store.start(id);
  expect(await store.readPage(id, 9_999, 5)).toEqual([{ number: 10_000, payload: 'a' }]);
  await store.recordOutcomes(id, [done(1), { number: 2, attempts: 2, state: 'failed', error: 'no' }]);
  expect(await store.finish(id)).toMatchObject({ status: 'processing', done: 1, failed: 1 });
  await store.recordOutcomes(
    id,
    Array.from({ length: 10_000 }, (_, index) => done(index + 1)),
  );
  expect(await store.finish(id)).toMatchObject({ status: 'completed', done: 10_000, failed: 0 });
  expect(await store.list()).toMatchObject([{ id }, { status: 'aborted' }]);
  expect(await store.discard(id)).toBe(true);
  expect(await store.list()).toHaveLength(1);
  expect(await dataSource.getRepository(WorkerUploadRow).count()).toBe(0);
}

async function countIn(table: string): Promise<number> {
  const [{ count }] = await dataSource.query<[{ count: number }]>(
    `SELECT count(*)::int AS count FROM ${table}`,
  );
  return count;
}

describe.each(namings)('tables %s', (_, naming, uploads) => {
  test('are made and undone by the migrations', async () => {
    await connect(naming);
    await dataSource.runMigrations();
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
    expect(upQueries.map(({ query }) => query)).toEqual([]);
    await useStore();
    expect(await countIn(uploads)).toBe(1);
    await undoMigrations();
    await expect(countIn(uploads)).rejects.toMatchObject({ code: '42P01' });
  });

  test('are used when they were synchronized', async () => {
    await connect(naming);
    await dataSource.synchronize();
    await useStore();
    expect(await countIn(uploads)).toBe(await dataSource.getRepository(WorkerUpload).count());
  });
});
