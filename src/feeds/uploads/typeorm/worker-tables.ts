import type { DataSource } from 'typeorm';
import { WorkerUpload } from './worker-upload.entity.js';
import { WorkerUploadRow } from './worker-upload-row.entity.js';

/** The tables as SQL names them. */
export interface WorkerTables {
  readonly uploads: string;
  readonly rows: string;
}

/**
 * Where a data source has the tables: its `schema`, its `entityPrefix` and its naming strategy say it. The columns have
 * one name everywhere, which the entities give.
 *
 * @throws EntityMetadataNotFoundError of TypeORM when the data source lacks the entities
 */
export function workerTables(dataSource: DataSource): WorkerTables {
  return { uploads: quotedPath(dataSource, WorkerUpload), rows: quotedPath(dataSource, WorkerUploadRow) };
}

function quotedPath(dataSource: DataSource, entity: new () => object): string {
  const { tablePath } = dataSource.getMetadata(entity);
  return tablePath
    .split('.')
    .map((name) => dataSource.driver.escape(name))
    .join('.');
}
