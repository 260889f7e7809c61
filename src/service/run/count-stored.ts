import type { DataSource } from 'typeorm';
import type { StoredCounts } from '../display/run-summary.js';

/** Counts what the workers have stored. */
export async function countStored(dataSource: DataSource): Promise<StoredCounts> {
  const [counts] = await dataSource.query<[StoredCounts]>(COUNT_STORED);
  return counts;
}

// Every row that is done either made a user or repeated the email of one: no worker has to remember which.
const COUNT_STORED = `
  SELECT (SELECT count(*) FROM users)::int AS users,
         (SELECT count(*) FROM worker_upload_rows JOIN worker_uploads ON id = upload_id
          WHERE type = 'user-processing' AND state = 'done')::int
           - (SELECT count(*) FROM users)::int AS "duplicateUsers",
         (SELECT count(*) FROM prices)::int AS prices,
         (SELECT count(*) FROM quote_statistics)::int AS symbols,
         (SELECT count(*) FROM webhook_deliveries)::int AS webhooks,
         (SELECT count(DISTINCT repository) FROM repository_activity WHERE repository LIKE '%/%'
          AND repository NOT LIKE '%/*')::int AS repositories`;
