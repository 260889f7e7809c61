// Entry point `nestjs-background-worker/typeorm`: what keeps uploads in Postgres.

import { CreateWorkerUploads1764000000000 } from './feeds/uploads/typeorm/create-worker-uploads.migration.js';
import { WorkerUploadRow } from './feeds/uploads/typeorm/worker-upload-row.entity.js';
import { WorkerUpload } from './feeds/uploads/typeorm/worker-upload.entity.js';

export { TypeOrmUploadStore } from './feeds/uploads/typeorm/typeorm-upload-store.js';
export type { UploadQuery } from './feeds/uploads/typeorm/upload-query.js';
export type { UploadRowState } from './feeds/uploads/typeorm/worker-upload-row.entity.js';
export { WorkerUpload, WorkerUploadRow };

/** The entities for `entities` of the data source's options. */
export function getWorkerEntities(): (new () => object)[] {
  return [WorkerUpload, WorkerUploadRow];
}

/** The migrations that make the tables of the entities, for `migrations` of the data source's options. */
export function getWorkerMigrations(): (new () => object)[] {
  return [CreateWorkerUploads1764000000000];
}
