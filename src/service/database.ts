import { DataSource, type DataSourceOptions } from 'typeorm';
import { getWorkerEntities, getWorkerMigrations } from '../typeorm.js';
import { RepositoryActivity, WebhookDelivery } from './activity/activity.entity.js';
import { CreateServiceTables1764000000001 } from './create-service-tables.migration.js';
import { Price } from './quotes/price.entity.js';
import { QuoteStatistics } from './quotes/quote-statistics.entity.js';
import { StoredUser } from './users/user.entity.js';

/** Any number that nobody else uses in the database. */
const MIGRATION_LOCK = 1_764_000_000;

/** How TypeORM reaches the service's database. */
export function databaseOptions(url: string): DataSourceOptions {
  return {
    type: 'postgres',
    url,
    applicationName: 'background-worker-service',
    entities: [
      ...getWorkerEntities(),
      StoredUser,
      Price,
      QuoteStatistics,
      RepositoryActivity,
      WebhookDelivery,
    ],
    migrations: [...getWorkerMigrations(), CreateServiceTables1764000000001],
    connectTimeoutMS: 10_000,
  };
}

/** Connects to the database, and makes the tables that are missing. */
export async function openDataSource(options: DataSourceOptions): Promise<DataSource> {
  const dataSource = new DataSource(options);
  try {
    await dataSource.initialize();
    await makeTables(dataSource);
    return dataSource;
  } catch (error) {
    if (dataSource.isInitialized) await dataSource.destroy();
    throw new Error('The database (DATABASE_URL) could not be opened', { cause: error });
  }
}

/** One service at a time: of two that start together, the second finds the tables made. */
async function makeTables(dataSource: DataSource): Promise<void> {
  const locked = dataSource.createQueryRunner();
  try {
    await locked.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await dataSource.runMigrations();
    await locked.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]);
  } finally {
    await locked.release();
  }
}
