import { randomUUID } from 'node:crypto';
import { Not, Raw, type DataSource } from 'typeorm';
import { errorText } from '../../../core/error-text.js';
import { findProblems, given, refuseProblems } from '../../../core/option-rules.js';
import { toError } from '../../../core/to-error.js';
import { checkReceiveArguments, type ReceivedUpload } from '../receive-arguments.js';
import { UnknownUploadError, UploadDiscardedError, UploadInUseError } from '../upload-errors.js';
import type { RowOutcome, Upload, UploadRow, UploadStore } from '../upload-store.js';
import { uploadQueryRules, type UploadQuery } from './upload-query.js';
import { WorkerUpload } from './worker-upload.entity.js';
import { WorkerUploadRow } from './worker-upload-row.entity.js';
import { writeRows } from './write-rows.js';

/** Uploads that a list has at the most, unless it is asked for more. */
const LISTED = 1_000;

/** Rows of an upload that change what Postgres should know of the table. */
const MANY_ROWS = 10_000;

/** As `randomUUID` writes it: an upload has one id, while Postgres takes it in several spellings. */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Uploads in Postgres, by TypeORM. The data source needs the entities and migrations of `getWorkerEntities`. */
export class TypeOrmUploadStore implements UploadStore {
  /** Those that come in by this store. */
  private readonly receiving = new Set<string>();

  constructor(private readonly dataSource: DataSource) {}

  /**
   * A row is stored as `JSON.stringify` writes it: a Date as its ISO text, a number that is not finite as null, a member
   * that is undefined or a function not at all, and what has a `toJSON` as that says. Texts keep all of their characters,
   * NUL and halves of surrogate pairs included.
   *
   * @throws InvalidOptionsError, and nothing is written; InvalidRowError that has the number of the row, from 1;
   *   UploadDiscardedError; what `rows` throws; an AggregateError of one of these and another when what came in could not be
   *   cleared away
   */
  async receive(upload: ReceivedUpload, rows: AsyncIterable<unknown> | Iterable<unknown>): Promise<Upload> {
    checkReceiveArguments(upload, rows);
    const id = randomUUID();
    this.receiving.add(id);
    try {
      const { name, type } = upload;
      await this.uploads.insert({ id, name, type, status: 'receiving' });
      return await this.receiveRows(id, rows);
    } finally {
      this.receiving.delete(id);
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
    // One that has ended stays so: the call may come late, as that of a run that has given it up.
    const [, found] = await this.dataSource.query<[unknown[], number]>(
      `UPDATE worker_uploads
       SET status = CASE WHEN done + failed < rows THEN 'processing' ELSE status END,
           finished_at = CASE WHEN done + failed < rows THEN NULL ELSE finished_at END
       WHERE id = $1`,
      [id],
    );
    if (found === 0) throw new UnknownUploadError(id);
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

  /**
   * Uploads, those first that began to come in first.
   *
   * @throws InvalidOptionsError
   */
  async list(query: UploadQuery = {}): Promise<WorkerUpload[]> {
    refuseProblems('list()', findProblems(query, uploadQueryRules));
    const { status, olderThanMs: ageMs = 0, limit = LISTED } = query;
    return this.uploads.find({
      where: {
        ...given({ status }),
        createdAt: Raw((column) => `${column} <= now() - :ageMs * interval '1 millisecond'`, { ageMs }),
      },
      order: { createdAt: 'ASC', id: 'ASC' },
      take: limit,
    });
  }

  /**
   * Deletes an upload with all of its rows: one that nobody needs any more, or that stays `receiving` as its `receive()`
   * was killed. If that still goes on in another process, it is that which fails. Outcomes of dead letters that are
   * redriven later are lost.
   *
   * @returns whether there was one of this id
   * @throws UploadInUseError when it is `processing`, or comes in by this store
   */
  async discard(id: string): Promise<boolean> {
    if (!UUID.test(id)) return false;
    if (this.receiving.has(id)) throw new UploadInUseError(id, 'receiving');
    const isGone = await this.dataSource.transaction(async (manager) => {
      // First the upload: once it is gone, no more rows come.
      const { affected } = await manager.delete(WorkerUpload, { id, status: Not('processing') });
      if (affected === 0) return false;
      await manager.delete(WorkerUploadRow, { uploadId: id });
      return true;
    });
    if (!isGone && (await this.find(id)) !== undefined) throw new UploadInUseError(id, 'processing');
    return isGone;
  }

  private get uploads() {
    return this.dataSource.getRepository(WorkerUpload);
  }

  /** @throws UnknownUploadError */
  private async get(id: string): Promise<Upload> {
    const upload = await this.find(id);
    if (upload === undefined) throw new UnknownUploadError(id);
    return upload;
  }

  private async receiveRows(id: string, rows: AsyncIterable<unknown> | Iterable<unknown>): Promise<Upload> {
    try {
      const count = await writeRows(this.dataSource, id, rows);
      // Postgres plans by what it last counted: without a new count, reading a page of many new rows takes a hundred times as long.
      if (count >= MANY_ROWS) await this.dataSource.query('ANALYZE worker_upload_rows');
      const isReceiving = { id, status: 'receiving' } as const;
      const { affected } = await this.uploads.update(isReceiving, { status: 'received', rows: count });
      if (affected === 0) throw new UploadDiscardedError(id);
      return await this.get(id);
    } catch (error) {
      await this.abortAfter(error, id);
      throw error;
    }
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

/** Postgres has no NUL character in texts. */
function withoutNul(text: string): string {
  return text.replaceAll('\0', '\u{FFFD}');
}

function toUpload({ id, name, type, status, rows, done, failed }: WorkerUpload): Upload {
  return { id, name, type, status, rows, done, failed };
}
