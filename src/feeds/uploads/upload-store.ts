/** Where an upload stands. */
export type UploadStatus =
  /** Its rows are being written. */
  | 'receiving'
  /** All its rows are written; none has been worked on. */
  | 'received'
  /** A run works on it, or was cut short and left rows without an outcome, which the next run works on. */
  | 'processing'
  /** Every row is done. */
  | 'completed'
  /** Every row has ended, some as failed. */
  | 'completed-with-failures'
  /** It was broken off while it came in. */
  | 'aborted';

/** An upload as its store knows it. */
export interface Upload {
  readonly id: string;
  /** What the sender called it, such as the file's name. */
  readonly name: string;
  /** The worker type that its rows are for. */
  readonly type: string;
  readonly status: UploadStatus;
  /** Rows it has. */
  readonly rows: number;
  /** Rows that are done. */
  readonly done: number;
  /** Rows that failed. */
  readonly failed: number;
}

/** One row of an upload that has not ended. */
export interface UploadRow<Payload = unknown> {
  /** Its place in the upload, from 1. */
  readonly number: number;
  readonly payload: Payload;
}

/** What became of a row. */
export type RowOutcome = {
  readonly number: number;
  /** Attempts it took; counted anew when its dead letter was redriven. */
  readonly attempts: number;
} & (
  | { readonly state: 'done' }
  | {
      readonly state: 'failed';
      /** Why. */
      readonly error: string;
    }
);

/** Where uploads and their rows live. */
export interface UploadStore {
  /**
   * Writes the rows of a new upload as they come, each as JSON. When `rows` throws or has one that is no JSON, nothing of
   * the upload is ever worked on.
   *
   * @param rows an array, an iterable or an async iterable; not a text
   * @returns the upload, `received`
   * @throws InvalidOptionsError, InvalidRowError; what `rows` throws
   */
  receive(
    upload: { name: string; type: string },
    rows: AsyncIterable<unknown> | Iterable<unknown>,
  ): Promise<Upload>;
  /** The upload; undefined when there is none of this id. */
  find(id: string): Promise<Upload | undefined>;
  /** The next rows in the order of their numbers that have not ended, after row number `after`: `limit` at the most. */
  readPage(id: string, after: number, limit: number): Promise<readonly UploadRow[]>;
  /**
   * Writes back what became of rows, all of them or none, and counts it. A row that failed becomes done when that comes
   * for it later, as its dead letter was redriven, or fails anew; one that is done stays done. Repeating a call changes
   * nothing, and calls at the same time don't disturb each other.
   *
   * @throws UnknownUploadError when the upload is gone: what is not written must not look as if it were
   */
  recordOutcomes(id: string, outcomes: readonly RowOutcome[]): Promise<void>;
  /**
   * Sets the upload's status to `processing`; one without rows that have no outcome is better left as it is, as the call
   * may be answered after the run that made it was given up.
   *
   * @throws UnknownUploadError when it is gone
   */
  start(id: string): Promise<void>;
  /**
   * Brings the upload's status up to date: `processing` as long as rows are left without an outcome, else how it ended.
   * Called at the end of a run, and after the outcome of a redriven row was written later.
   *
   * @returns the upload as it stands then
   * @throws UnknownUploadError when it is gone
   */
  finish(id: string): Promise<Upload>;
}
