import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { databaseOptions, openDataSource } from '../../../src/service/database.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';

let database: TestDatabase;
const opened: DataSource[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((dataSource) => dataSource.destroy()));
  await database.drop();
});

async function open(): Promise<DataSource> {
  const dataSource = await openDataSource(databaseOptions(database.url));
  opened.push(dataSource);
  return dataSource;
}

async function tables(dataSource: DataSource): Promise<string[]> {
  const rows = await dataSource.query<{ name: string }[]>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY name`,
  );
  return rows.map(({ name }) => name).filter((name) => name !== 'migrations');
}

describe('the migrations of the service', () => {
  it('make the tables that the entities describe, and nothing is left to change', async () => {
    const dataSource = await open();
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
    expect(upQueries.map(({ query }) => query)).toEqual([]);
    expect(await tables(dataSource)).toEqual(
      dataSource.entityMetadatas.map(({ tableName }) => tableName).toSorted(),
    );
  });

  it('can be undone', async () => {
    const dataSource = await open();
    for (const _ of dataSource.migrations) await dataSource.undoLastMigration();
    expect(await tables(dataSource)).toEqual([]);
  });

  it('run once when several services start at once, and not again when another one starts', async () => {
    const [first] = await Promise.all([open(), open(), open()]);
    await open();
    const executed = await first.query<unknown[]>('SELECT name FROM migrations');
    expect(executed).toHaveLength(first.migrations.length);
  });

  it('leave no connection behind when they fail', async () => {
    const dataSource = await open();
    await dataSource.undoLastMigration();
    await dataSource.query('CREATE TABLE users (id int)');
    await dataSource.destroy();
    opened.length = 0;

    jest.spyOn(console, 'log').mockImplementationOnce(() => undefined); // TypeORM's own words
    // `drop` at the end of the test fails if there is one.
    await expect(open()).rejects.toMatchObject({
      message: 'The database (DATABASE_URL) could not be opened',
      cause: expect.objectContaining({ message: expect.stringMatching(/"users" already exists/) }),
    });
  });
});
