/** What became of a job's items, over all processes. */
export interface JobRecord {
  readonly id: string;
  readonly type: string;
  /** Items stored so far; the total once `isSealed`. */
  readonly accepted: number;
  readonly done: number;
  /** Items that are dead letters. */
  readonly dead: number;
  readonly isSealed: boolean;
  /** How the source ended: it was read to its end, its process ended before, or it threw this. */
  readonly sourceEnd: SourceEndRecord | undefined;
  readonly isCancelled: boolean;
  readonly duplicates: number;
}

export type SourceEndRecord =
  | { readonly kind: 'reached' }
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'failed'; readonly message: string };

/** What a submission has come to. */
export interface SubmittedCounts {
  readonly accepted: number;
  readonly duplicates: number;
}

/** Items of one job that have ended: `count` of them from `index` on. */
export interface EndedItems {
  readonly jobId: string;
  readonly index: number;
  readonly count: number;
  /** `dropped`: with its cancelled job. */
  readonly as: 'done' | 'dead' | 'dropped';
}

/**
 * One record for each job that may be asked for from any process. Counts stay exact whatever is told twice: a record knows
 * of each item whether it has ended.
 */
export interface JobRecords {
  /** Makes a record, before the first of its items is stored. */
  create(id: string, type: string): Promise<void>;
  /**
   * `count` more items have been stored, and `duplicates` have not, as others have their keys. Counts for nothing once the
   * record is sealed, which tells all of them.
   *
   * @returns whether the job is cancelled, so that no more of it is wanted
   */
  accept(id: string, count: number, duplicates: number): Promise<boolean>;
  /**
   * No more items come: so many in all have been stored, and so many have not. The first word on it stands. An error says that it
   * is not yet written; it will be, as soon as the store takes it.
   *
   * @param sent is given what resolves when it is written
   */
  seal(
    id: string,
    end: SourceEndRecord,
    counts: SubmittedCounts,
    sent?: (written: Promise<unknown>) => void,
  ): Promise<void>;
  /** Items ended. One that had ended before counts once; one that was dead, or dropped, and is done now has moved. */
  raise(ended: readonly EndedItems[]): Promise<void>;
  /** Dead items run again. */
  reopen(id: string, indices: readonly number[]): Promise<void>;
  /**
   * An error says that it is not yet written; it will be, as soon as the store takes it.
   *
   * @param sent is given the answer that comes when it is written
   * @returns whether there was a record of it that had not ended
   */
  cancel(id: string, sent?: (answer: Promise<boolean>) => void): Promise<boolean>;
  /** Those of the jobs that are cancelled. */
  cancelled(ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** The records, in the order of the ids; undefined where there is none. */
  read(ids: readonly string[]): Promise<readonly (JobRecord | undefined)[]>;
}
