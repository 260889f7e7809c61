import type { DataSourceOptions } from 'typeorm';
import { getWorkerEntities, getWorkerMigrations } from '../typeorm.js';
import { RepositoryActivity, WebhookDelivery } from './activity/activity.entity.js';
import { CreateServiceTables1764000000001 } from './create-service-tables.migration.js';
import { Price } from './quotes/price.entity.js';
import { QuoteStatistics } from './quotes/quote-statistics.entity.js';
import { StoredUser } from './users/user.entity.js';

/** How TypeORM reaches the service's database. Missing tables are made at start. */
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
    migrationsRun: true,
    connectTimeoutMS: 10_000,
  };
}
