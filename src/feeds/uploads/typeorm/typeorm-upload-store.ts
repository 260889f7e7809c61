import { randomUUID } from 'node:crypto';
import { Not, Raw, type DataSource, type EntityManager } from 'typeorm';
import { errorText } from '../../../core/error-text.js';
import { findProblems, given, refuseProblems } from '../../../core/option-rules.js';
import { toError } from '../../../core/to-error.js';
import { checkReceiveArguments, type ReceivedUpload } from '../receive-arguments.js';
import { UnknownUploadError, UploadDiscardedError, UploadInUseError } from '../upload-errors.js';
import type { RowOutcome, Upload, UploadRow, UploadStore } from '../upload-store.js';
import { onPrimary } from './on-primary.js';
import { recordOutcomes } from './record-outcomes.js';
import { uploadQueryRules, type UploadQuery } from './upload-query.js';
import { workerTables } from './worker-tables.js';
import { WorkerUpload } from './worker-upload.entity.js';
import { WorkerUploadRow } from './worker-upload-row.entity.js';
import { writeRows } from './write-rows.js';

/** Uploads that a list has at the most, unless it is asked for more. */
const LISTED = 1_000;

/** Rows of an upload that change what Postgres should know of the table. */
const MANY_ROWS = 10_000;

/** As `randomUUID` writes it: an upload has one id, while Postgres takes it in several spellings. */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** What an upload is made of, as in `toUpload`. */
const UPLOAD_COLUMNS = 'id, name, type, status, rows, done, failed';

/**
 * Uploads in Postgres, by TypeORM. The data source needs the entities of `getWorkerEntities`, and their tables, as the
 * migrations of `getWorkerMigrations` make them. Where it has replicas, all that is read here is read from the primary.
 */
export class TypeOrmUploadStore implements UploadStore {
  /** Those that come in by this store. */
  private readonly receiving = new Set<string>();

  constructor(private readonly dataSource: DataSource) {}

  /**
   * A row is stored as `JSON.stringify` writes it: a Date as its ISO text, a number that is not finite as null, a member
   * that is undefined or a function not at all, and what has a `toJSON` as that says. Texts keep all of their characters,
   * NUL and halves of surrogate pairs included. It may have 100,000,000 characters of JSON.
   *
   * @throws InvalidOptionsError, and nothing is written; InvalidRowError that has the number of the row, from 1;
   *   UploadDiscardedError; what `rows` throws; an AggregateError of one of these and another when what came in could not be
   *   cleared away
   */
  async receive(upload: ReceivedUpload, rows: AsyncIterable<unknown> | Iterable<unknown>): Promise<Upload> {
    checkReceiveArguments(upload, rows);
    const received = await this.receiveAs(randomUUID(), upload, rows);
    if (received.rows >= MANY_ROWS) await this.countAnew();
    return received;
  }

  async find(id: string): Promise<Upload | undefined> {
    if (!UUID.test(id)) return undefined;
    const upload = await onPrimary(this.dataSource, (manager) => manager.findOneBy(WorkerUpload, { id }));
    return upload === null ? undefined : toUpload(upload);
  }

  async readPage(id: string, after: number, limit: number): Promise<readonly UploadRow[]> {
    return this.dataSource.query<UploadRow[]>(
      `SELECT number, payload FROM ${this.tables.rows}
       WHERE upload_id = $1 AND number > $2 AND state = 'pending'
       ORDER BY number LIMIT $3`,
      [id, after, limit],
    );
  }

  async recordOutcomes(id: string, outcomes: readonly RowOutcome[]): Promise<void> {
    if (outcomes.length === 0) return;
    const isThere = await recordOutcomes(this.dataSource, id, outcomes);
    if (!isThere) throw new UnknownUploadError(id);
  }

  async start(id: string): Promise<void> {
    // One that has ended stays so: the call may come late, as that of a run that has given it up.
    const [, found] = await this.dataSource.query<[unknown[], number]>(
      `UPDATE ${this.tables.uploads}
       SET status = CASE WHEN done + failed < rows THEN 'processing' ELSE status END,
           finished_at = CASE WHEN done + failed < rows THEN NULL ELSE finished_at END
       WHERE id = $1`,
      [id],
    );
    if (found === 0) throw new UnknownUploadError(id);
  }

  async finish(id: string): Promise<Upload> {
    const [[upload]] = await this.dataSource.query<[Upload[], number]>(
      `UPDATE ${this.tables.uploads}
       SET status = CASE WHEN done + failed < rows THEN 'processing'
                         WHEN failed > 0 THEN 'completed-with-failures'
                         ELSE 'completed' END,
           finished_at = CASE WHEN done + failed < rows THEN NULL ELSE now() END
       WHERE id = $1
       RETURNING ${UPLOAD_COLUMNS}`,
      [id],
    );
    if (upload === undefined) throw new UnknownUploadError(id);
    return upload;
  }

  /**
   * Uploads, those first that began to come in first.
   *
   * @throws InvalidOptionsError
   */
  async list(query: UploadQuery = {}): Promise<WorkerUpload[]> {
    refuseProblems('list()', findProblems(query, uploadQueryRules));
    const { status, olderThanMs: ageMs = 0, limit = LISTED } = query;
    const where = {
      ...given({ status }),
      createdAt: Raw((column) => `${column} <= now() - :ageMs * interval '1 millisecond'`, { ageMs }),
    };
    return onPrimary(this.dataSource, (manager) =>
      manager.find(WorkerUpload, { where, order: { createdAt: 'ASC', id: 'ASC' }, take: limit }),
    );
  }

  /**
   * Deletes an upload with all of its rows: one that nobody needs any more, or that stays `receiving` as its `receive()`
   * was killed. If that still goes on in another process, it is that which fails. Outcomes of dead letters that are
   * redriven later are lost: `outcomesNotWritten` tells of them.
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

  private get tables() {
    return workerTables(this.dataSource);
  }

  private async receiveAs(
    id: string,
    { name, type }: ReceivedUpload,
    rows: AsyncIterable<unknown> | Iterable<unknown>,
  ): Promise<Upload> {
    this.receiving.add(id);
    try {
      await this.dataSource.manager.insert(WorkerUpload, { id, name, type, status: 'receiving' });
      return await this.receiveRows(id, rows);
    } finally {
      this.receiving.delete(id);
    }
  }

  private async receiveRows(id: string, rows: AsyncIterable<unknown> | Iterable<unknown>): Promise<Upload> {
    try {
      const count = await writeRows(this.dataSource, id, rows);
      return await this.markReceived(id, count);
    } catch (error) {
      const received = await this.abortAfter(error, id);
      if (received !== undefined) return received;
      throw error;
    }
  }

  /**
   * Postgres plans by what it last counted: without a new count, reading a page of many new rows takes a hundred times as
   * long, until it counts by itself. That is no reason to refuse what has come in, nor to wait for whoever has the table.
   */
  private async countAnew(): Promise<void> {
    try {
      await this.dataSource.query(`ANALYZE (SKIP_LOCKED) ${this.tables.rows}`);
    } catch {
      // The upload is received all the same.
    }
  }

  /** @throws UploadDiscardedError */
  private async markReceived(id: string, count: number): Promise<Upload> {
    const [[upload]] = await this.dataSource.query<[Upload[], number]>(
      `UPDATE ${this.tables.uploads} SET status = 'received', rows = $2
       WHERE id = $1 AND status = 'receiving'
       RETURNING ${UPLOAD_COLUMNS}`,
      [id, count],
    );
    if (upload === undefined) throw new UploadDiscardedError(id);
    return upload;
  }

  /** What broke the upload is what its sender has to hear of, also when the rest could not be cleared away. */
  private abortAfter(reason: unknown, id: string): Promise<Upload | undefined> {
    const aborting = this.dataSource.transaction((manager) => abort(manager, id));
    return aborting.catch((thrown: unknown) => {
      throw notClearedAway(id, toError(thrown), reason);
    });
  }
}

function notClearedAway(id: string, error: Error, reason: unknown): AggregateError {
  const message = `what came in of upload ${id} could not be cleared away: ${errorText(error)}`;
  return new AggregateError([reason, error], `${errorText(toError(reason))}; ${message}`, { cause: reason });
}

/**
 * Clears away what came in of a broken upload, as it is of no use to anybody.
 *
 * @returns the upload when it did come in: only the answer that said so was lost
 */
async function abort(manager: EntityManager, id: string): Promise<Upload | undefined> {
  // The lock also waits for rows whose writing was given up, as the connection broke.
  const lock = { mode: 'pessimistic_write' } as const;
  const upload = await manager.findOne(WorkerUpload, { where: { id }, lock });
  if (upload === null) return undefined;
  if (upload.status !== 'receiving') return toUpload(upload);
  await manager.update(WorkerUpload, { id }, { status: 'aborted' });
  await manager.delete(WorkerUploadRow, { uploadId: id });
  return undefined;
}

function toUpload({ id, name, type, status, rows, done, failed }: WorkerUpload): Upload {
  return { id, name, type, status, rows, done, failed };
}
