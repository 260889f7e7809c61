import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { errorText } from '../../../core/error-text.js';
import { toError } from '../../../core/to-error.js';
import type { RowOutcome, Upload, UploadRow, UploadStore } from '../upload-store.js';
import { WorkerUpload } from './worker-upload.entity.js';

/** Rows that are written in one statement. */
const WRITE_ROWS = 1_000;

/** Rows of an upload that change what Postgres should know of the table. */
const MANY_ROWS = 10_000;

/** As `randomUUID` writes it: an upload has one id, while Postgres takes it in several spellings. */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Uploads in Postgres, by TypeORM. The data source needs the entities and migrations of `getWorkerEntities`. */
export class TypeOrmUploadStore implements UploadStore {
  constructor(private readonly dataSource: DataSource) {}

  /** @throws what `rows` throws; an AggregateError of that and another when what came in could not be cleared away */
  async receive(
    { name, type }: { name: string; type: string },
    rows: AsyncIterable<unknown> | Iterable<unknown>,
  ): Promise<Upload> {
    const id = randomUUID();
    await this.uploads.insert({ id, name, type, status: 'receiving' });
    try {
      const count = await this.writeRows(id, rows);
      // Postgres plans by what it last counted: without a new count, reading a page of many new rows takes a hundred times as long.
      if (count >= MANY_ROWS) await this.dataSource.query('ANALYZE worker_upload_rows');
      await this.uploads.update(id, { status: 'received', rows: count });
      return await this.get(id);
    } catch (error) {
      await this.abortAfter(error, id);
      throw error;
    }
  }

  async find(id: string): Promise<Upload | undefined> {
    if (!UUID.test(id)) return undefined;
    const upload = await this.uploads.findOneBy({ id });
    return upload === null ? undefined : toUpload(upload);
  }

  async readPage(id: string, after: number, limit: number): Promise<readonly UploadRow[]> {
    return this.dataSource.query<UploadRow[]>(
      `SELECT number, payload FROM worker_upload_rows
       WHERE upload_id = $1 AND number > $2 AND state = 'pending'
       ORDER BY number LIMIT $3`,
      [id, after, limit],
    );
  }

  async recordOutcomes(id: string, outcomes: readonly RowOutcome[]): Promise<void> {
    if (outcomes.length === 0) return;
    // The rows are locked in the order of their numbers, so that two calls at once don't lock crosswise, and what they
    // were is read after that, so that neither counts what the other has.
    await this.dataSource.query(
      `WITH outcome AS (
         SELECT * FROM unnest($2::int[], $3::int[], $4::text[], $5::text[]) AS o(number, attempts, state, error)
       ), before AS (
         SELECT row.number, row.state
         FROM worker_upload_rows AS row
         WHERE row.upload_id = $1 AND row.number = ANY($2::int[]) AND row.state <> 'done'
         ORDER BY row.number
         FOR UPDATE
       ), after AS (
         UPDATE worker_upload_rows AS row
         SET state = outcome.state, attempts = outcome.attempts, error = outcome.error
         FROM before JOIN outcome USING (number)
         WHERE row.upload_id = $1 AND row.number = before.number
         RETURNING before.state AS old_state, row.state AS new_state
       ), moved AS (
         SELECT count(*) FILTER (WHERE new_state = 'done') AS to_done,
                count(*) FILTER (WHERE new_state = 'failed') - count(*) FILTER (WHERE old_state = 'failed') AS to_failed
         FROM after
       )
       UPDATE worker_uploads
       SET done = done + to_done, failed = failed + to_failed
       FROM moved
       WHERE id = $1`,
      [
        id,
        outcomes.map(({ number }) => number),
        outcomes.map(({ attempts }) => attempts),
        outcomes.map(({ state }) => state),
        outcomes.map((outcome) => (outcome.state === 'done' ? null : withoutNul(outcome.error))),
      ],
    );
  }

  async start(id: string): Promise<void> {
    await this.uploads.update(id, { status: 'processing', finishedAt: null });
  }

  async finish(id: string): Promise<Upload> {
    await this.dataSource.query(
      `UPDATE worker_uploads
       SET status = CASE WHEN done + failed < rows THEN 'processing'
                         WHEN failed > 0 THEN 'completed-with-failures'
                         ELSE 'completed' END,
           finished_at = CASE WHEN done + failed < rows THEN NULL ELSE now() END
       WHERE id = $1`,
      [id],
    );
    return this.get(id);
  }

  private get uploads() {
    return this.dataSource.getRepository(WorkerUpload);
  }

  private async get(id: string): Promise<Upload> {
    return toUpload(await this.uploads.findOneByOrFail({ id }));
  }

  /** @returns how many rows there were */
  private async writeRows(id: string, rows: AsyncIterable<unknown> | Iterable<unknown>): Promise<number> {
    let count = 0;
    let waiting: string[] = [];
    const write = async () => {
      const first = count - waiting.length + 1;
      await this.dataSource.query(
        `INSERT INTO worker_upload_rows (upload_id, number, payload)
         SELECT $1, $2 + place - 1, payload::json FROM unnest($3::text[]) WITH ORDINALITY AS p(payload, place)`,
        [id, first, waiting],
      );
      waiting = [];
    };
    for await (const row of rows) {
      count++;
      waiting.push(serialise(row, count));
      if (waiting.length === WRITE_ROWS) await write();
    }
    if (waiting.length > 0) await write();
    return count;
  }

  /** What broke the upload is what its sender has to hear of, also when the rest could not be cleared away. */
  private async abortAfter(reason: unknown, id: string): Promise<void> {
    const abortError = await this.abort(id).then(() => undefined, toError);
    if (abortError === undefined) return;
    throw new AggregateError(
      [reason, abortError],
      `${errorText(toError(reason))}; what came in of upload ${id} could not be cleared away: ${errorText(abortError)}`,
      { cause: reason },
    );
  }

  /** What came in of a broken upload is of no use to anybody. */
  private async abort(id: string): Promise<void> {
    await this.dataSource.query('DELETE FROM worker_upload_rows WHERE upload_id = $1', [id]);
    await this.uploads.update(id, { status: 'aborted' });
  }
}

function serialise(row: unknown, number: number): string {
  const json = JSON.stringify(row) as string | undefined;
  if (json === undefined) throw new TypeError(`Row ${number}: expected a JSON value, got ${typeof row}`);
  return json;
}

/** Postgres has no NUL character in texts. */
function withoutNul(text: string): string {
  return text.replaceAll('\0', '\u{FFFD}');
}

function toUpload({ id, name, type, status, rows, done, failed }: WorkerUpload): Upload {
  return { id, name, type, status, rows, done, failed };
}
