import type { DataSource } from 'typeorm';
import { UploadDiscardedError } from '../upload-errors.js';
import { rowJson } from '../row-json.js';

/** Rows that are written in one statement. */
const WRITE_ROWS = 1_000;

/**
 * Writes the rows of an upload that is `receiving`, numbered from 1, as they come.
 *
 * @returns how many there were
 * @throws InvalidRowError; UploadDiscardedError when the upload is gone; what `rows` throws
 */
export async function writeRows(
  dataSource: DataSource,
  id: string,
  rows: AsyncIterable<unknown> | Iterable<unknown>,
): Promise<number> {
  let count = 0;
  let waiting: string[] = [];
  const write = async () => {
    await writePart(dataSource, id, count - waiting.length + 1, waiting);
    waiting = [];
  };
  for await (const row of rows) {
    count++;
    waiting.push(rowJson(row, count));
    if (waiting.length === WRITE_ROWS) await write();
  }
  if (waiting.length > 0) await write();
  return count;
}

async function writePart(
  dataSource: DataSource,
  id: string,
  first: number,
  payloads: readonly string[],
): Promise<void> {
  const [{ written }] = await dataSource.query<[{ written: number }]>(WRITE_PART, [id, first, payloads]);
  if (written === 0) throw new UploadDiscardedError(id);
}

// The lock keeps the upload until its rows are in, so that whoever discards it finds all of them.
const WRITE_PART = `
  WITH upload AS (
    SELECT id FROM worker_uploads WHERE id = $1 AND status = 'receiving' FOR KEY SHARE
  ), written AS (
    INSERT INTO worker_upload_rows (upload_id, number, payload)
    SELECT id, $2 + place - 1, payload::json
    FROM upload, unnest($3::text[]) WITH ORDINALITY AS p(payload, place)
    RETURNING number
  )
  SELECT count(*)::int AS written FROM written`;
