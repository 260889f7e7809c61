import { afterAll, afterEach, beforeAll } from '@jest/globals';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource, type QueryRunner } from 'typeorm';
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

/** Longer than anything waits that is not stuck; a test that leaves a lock fails, and does not stop the others. */
const LOCK_LIMIT_MS = 10_000;

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
    extra: { lock_timeout: LOCK_LIMIT_MS },
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
    LOCK_LIMIT_MS / 2,
  );

/** Does `work` while a transaction has done what `hold` does; whatever `work` leaves of it is rolled back. */
export async function whileHeld(
  hold: (holder: QueryRunner) => Promise<unknown>,
  work: (holder: QueryRunner) => Promise<void>,
): Promise<void> {
  const holder = dataSource.createQueryRunner();
  try {
    await holder.startTransaction();
    await hold(holder);
    await work(holder);
  } finally {
    if (holder.isTransactionActive) await holder.rollbackTransaction();
    await holder.release();
  }
}

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
