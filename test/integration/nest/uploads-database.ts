import { afterAll, afterEach, beforeAll } from '@jest/globals';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { WorkerModule, type JobProcess, type UploadRunResult } from '../../../src/index.js';
import {
  getWorkerEntities,
  getWorkerMigrations,
  TypeOrmUploadStore,
  WorkerUploadRow,
} from '../../../src/typeorm.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { until } from '../../support/until.js';
import { startApplication } from './applications.js';
import { RowWorker } from './row-work.js';

let database: TestDatabase;
/** The connection of the test file. */
export let dataSource: DataSource;
export let store: TypeOrmUploadStore;

beforeAll(async () => {
  database = await createTestDatabase();
  dataSource = await new DataSource({
    type: 'postgres',
    url: database.url,
    entities: getWorkerEntities(),
    migrations: getWorkerMigrations(),
  }).initialize();
  await dataSource.runMigrations();
  store = new TypeOrmUploadStore(dataSource);
});
afterEach(() => dataSource.query('TRUNCATE worker_uploads, worker_upload_rows'));
afterAll(async () => {
  await dataSource.destroy();
  await database.drop();
});

export const rowsOf = (id: string) =>
  dataSource.getRepository(WorkerUploadRow).find({ where: { uploadId: id }, order: { number: 'ASC' } });

/** Statements that wait for a lock, once there are so many. */
export const waitingForLocks = (count: number) =>
  until(
    async () => {
      const [answer] = await dataSource.query<{ waiting: number }[]>(
        `SELECT count(*)::int AS waiting FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      return answer!.waiting;
    },
    (waiting) => waiting === count,
    10_000,
  );

export const upload = (rows: Iterable<unknown> | AsyncIterable<unknown>, type = 'rows') =>
  store.receive({ name: 'users.csv', type }, rows);

/** An application with an upload store on a connection of its own. */
export const application = (pageSize?: number) =>
  startApplication({
    imports: [
      TypeOrmModule.forRoot({
        type: 'postgres',
        url: database.url,
        entities: getWorkerEntities(),
        retryAttempts: 0,
      }),
      WorkerModule.forRootAsync({
        inject: [DataSource],
        useFactory: (own: DataSource) => ({
          reportIntervalMs: 0,
          shutdownTimeoutMs: 0,
          abortGraceMs: 0,
          uploads: { store: new TypeOrmUploadStore(own), pageSize },
        }),
      }),
    ],
    providers: [RowWorker],
  });

export async function processed(jobs: JobProcess, id: string): Promise<UploadRunResult> {
  return (await jobs.processUserUpload(id)).completed;
}
