import type { DataSource } from 'typeorm';
import type { StoredCounts } from '../display/run-summary.js';

/** What the workers have stored in a database, at one moment. */
export interface DatabaseCounts extends Omit<StoredCounts, 'duplicateUsers'> {
  /** Rows of user files that are done: each made a user, or repeated the email of one. No worker has to remember which. */
  readonly userRows: number;
}

/** Counts it. */
export async function countStored(dataSource: DataSource): Promise<DatabaseCounts> {
  const [counts] = await dataSource.query<[DatabaseCounts]>(COUNT_STORED);
  return counts;
}

const COUNT_STORED = `
  SELECT (SELECT count(*) FROM users)::int AS users,
         (SELECT count(*) FROM worker_upload_rows JOIN worker_uploads ON id = upload_id
          WHERE type = 'user-processing' AND state = 'done')::int AS "userRows",
         (SELECT count(*) FROM prices)::int AS prices,
         (SELECT count(*) FROM quote_statistics)::int AS symbols,
         (SELECT count(*) FROM webhook_deliveries)::int AS webhooks,
         (SELECT count(DISTINCT repository) FROM repository_activity WHERE repository LIKE '%/%'
          AND repository NOT LIKE '%/*')::int AS repositories`;

/** What a database holds after a run, by what it held before. */
export function storedAfter(before: DatabaseCounts, { userRows, ...after }: DatabaseCounts): StoredCounts {
  return { ...after, duplicateUsers: userRows - before.userRows - (after.users - before.users) };
}
