import type { DataSource } from 'typeorm';
import type { RowOutcome } from '../upload-store.js';
import { workerTables, type WorkerTables } from './worker-tables.js';

/**
 * Writes what became of rows of an upload, and counts it, in one statement.
 *
 * @returns whether there is an upload of this id
 */
export async function recordOutcomes(
  dataSource: DataSource,
  id: string,
  outcomes: readonly RowOutcome[],
): Promise<boolean> {
  const [, found] = await dataSource.query<[unknown[], number]>(statement(workerTables(dataSource)), [
    id,
    outcomes.map(({ number }) => number),
    outcomes.map(({ attempts }) => attempts),
    outcomes.map(({ state }) => state),
    outcomes.map((outcome) => (outcome.state === 'done' ? null : withoutNul(outcome.error))),
  ]);
  return found > 0;
}

// First the upload is locked, as by whoever discards it, so that the two don't lock crosswise: a row can only be locked
// once it is joined with its upload, and that has only come once it is locked. What the rows were is read after that, so
// that neither of two calls at once counts what the other has.
const statement = ({ uploads, rows }: WorkerTables) => `
  WITH outcome AS (
    SELECT * FROM unnest($2::int[], $3::int[], $4::text[], $5::text[]) AS o(number, attempts, state, error)
  ), upload AS MATERIALIZED (
    SELECT id FROM ${uploads} WHERE id = $1 FOR NO KEY UPDATE
  ), before AS (
    SELECT row.number, row.state
    FROM upload JOIN ${rows} AS row ON row.upload_id = upload.id
    WHERE row.upload_id = $1 AND row.number = ANY($2::int[]) AND row.state <> 'done'
    ORDER BY row.number
    FOR UPDATE OF row
  ), after AS (
    UPDATE ${rows} AS row
    SET state = outcome.state, attempts = outcome.attempts, error = outcome.error
    FROM before JOIN outcome USING (number)
    WHERE row.upload_id = $1 AND row.number = before.number
    RETURNING before.state AS old_state, row.state AS new_state
  ), moved AS (
    SELECT count(*) FILTER (WHERE new_state = 'done') AS to_done,
           count(*) FILTER (WHERE new_state = 'failed') - count(*) FILTER (WHERE old_state = 'failed') AS to_failed
    FROM after
  )
  UPDATE ${uploads}
  SET done = done + to_done, failed = failed + to_failed
  FROM moved
  WHERE id = $1`;

/** Postgres has no NUL character in texts. */
function withoutNul(text: string): string {
  return text.replaceAll('\0', '\u{FFFD}');
}
