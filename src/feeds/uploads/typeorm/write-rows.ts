import type { DataSource } from 'typeorm';
import { UploadDiscardedError } from '../upload-errors.js';
import { rowJson } from '../row-json.js';
import { workerTables, type WorkerTables } from './worker-tables.js';

/** Rows that are written in one statement, at the most. */
const PART_ROWS = 1_000;

/** Characters of JSON with which a part is written, however few rows it has. */
const PART_LENGTH = 8_000_000;

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
  let waitingLength = 0;
  const write = async () => {
    await writePart(dataSource, id, count - waiting.length + 1, waiting);
    waiting = [];
    waitingLength = 0;
  };
  for await (const row of rows) {
    count++;
    const json = rowJson(row, count);
    waiting.push(json);
    waitingLength += json.length;
    if (waiting.length === PART_ROWS || waitingLength >= PART_LENGTH) await write();
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
  const statement = insertion(workerTables(dataSource));
  // As one JSON: an array of texts would be escaped once more by the driver, which takes gigabytes for what is all quotes.
  const parameters = [id, first, `[${payloads.join(',')}]`];
  const [{ written }] = await dataSource.query<[{ written: number }]>(statement, parameters);
  if (written === 0) throw new UploadDiscardedError(id);
}

// The lock keeps the upload until its rows are in, so that whoever discards it finds all of them.
const insertion = ({ uploads, rows }: WorkerTables) => `
  WITH upload AS (
    SELECT id FROM ${uploads} WHERE id = $1 AND status = 'receiving' FOR KEY SHARE
  ), written AS (
    INSERT INTO ${rows} (upload_id, number, payload)
    SELECT id, $2 + place - 1, payload
    FROM upload, json_array_elements($3::json) WITH ORDINALITY AS p(payload, place)
    RETURNING number
  )
  SELECT count(*)::int AS written FROM written`;
