import { DataSource } from 'typeorm';
import { Worker, WorkerType, type BatchContext } from '../../index.js';
import { InvalidInputError } from '../invalid-input.js';
import { normaliseUser, type NormalisedUser } from './normalise-user.js';
import type { UserFileRow } from './parse-user-file.js';
import { storeUsers, type UserToStore } from './store-users.js';

/** A row of a user file on its way to becoming a user. */
export interface UserRow extends UserFileRow {
  /** The file it came in; with the line, it names the row for good. */
  readonly file: string;
}

/** Normalises rows of user files, drops repeated emails, and stores the users; a bad row fails alone. */
@WorkerType('user-processing', {
  batchSize: 100,
  timeoutMs: 30_000,
  retry: { limit: 3, retryable: (error) => !(error instanceof InvalidInputError) },
})
export class UserProcessingWorker extends Worker<UserRow> {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  override async processBatch(rows: readonly UserRow[], context: BatchContext): Promise<void> {
    const users: UserToStore[] = [];
    rows.forEach((row, place) => {
      const user = this.normalise(row, place, context);
      if (user !== undefined) users.push({ sourceRow: `${row.file}:${row.line}`, user });
    });
    await storeUsers(this.dataSource.manager, users);
  }

  private normalise(row: UserRow, place: number, context: BatchContext): NormalisedUser | undefined {
    try {
      return normaliseUser(row.cells);
    } catch (error) {
      context.fail(place, error);
      return undefined;
    }
  }
}
