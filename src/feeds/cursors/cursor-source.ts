/** A slice of a data source. */
export interface Page<Payload, Cursor> {
  /** Payloads, each of which becomes an item; there may be none. */
  readonly items: readonly Payload[];
  /**
   * The position after this page, a JSON value. Undefined or null: the source has ended, and the next run starts over
   * from the beginning.
   */
  readonly next: Cursor | null | undefined;
  /**
   * The run ends with this page although there is a `next`: the next run goes on from there. For sources that grow.
   * Default false.
   */
  readonly isLast?: boolean;
}

/**
 * A data source that is read page by page.
 *
 * @typeParam Cursor a position in the source; any JSON value, as it is stored between runs
 */
export interface CursorSource<Payload = unknown, Cursor = unknown> {
  /**
   * The page that follows `cursor`; the first one when it is undefined.
   *
   * @param limit items of the page at the most: the `pageSize` of the cursor job
   * @param signal aborts when the run is cancelled, the process shuts down, or the call takes longer than
   *   `callTimeoutMs`. The run does not wait for an answer then: what comes later is ignored
   */
  fetchPage(cursor: Cursor | undefined, limit: number, signal: AbortSignal): Promise<Page<Payload, Cursor>>;

  /**
   * Called when a run has read the source to its end (or to a page that `isLast`) and every item of it has ended, even if
   * it found none. The checkpoint moves past the last page after this has resolved: when this rejects, or the process
   * ends before, the next run repeats the last page and calls it again. So it had better be fit to be called twice.
   *
   * @param signal aborts when the call takes longer than `callTimeoutMs`; the run has failed then. A stop of the run lets
   *   it go on
   */
  onRunCompleted?(result: CursorRunResult, signal: AbortSignal): void | Promise<void>;
}

/** Why a run was started. */
export type TriggerCause = 'cron' | 'manual' | 'message';

/** One call for a cursor job to run. */
export interface Trigger {
  /** The name of the cursor job. */
  readonly name: string;
  readonly cause: TriggerCause;
}

/** How a run ended. */
export type CursorRunStatus =
  /** The source was read to its end (or to a page that `isLast`), and `onRunCompleted` has resolved. */
  | 'completed'
  /**
   * The source threw, contradicted itself or passed `callTimeoutMs`, or the checkpoint could not be read or written in
   * time. The checkpoint stands before the first page that was not recorded.
   */
  | 'failed'
  /** It was cancelled before its end. The checkpoint stands before the page that was cut short. */
  | 'cancelled'
  /** The process shut down before its end. The checkpoint stands before the first page that was not worked off. */
  | 'interrupted';

/** Counts of a run at one moment. */
export interface CursorRunProgress {
  /** Pages whose items have all ended. */
  readonly pages: number;
  /** Items of these pages and of the one that is worked on. */
  readonly items: number;
  /** Those that completed. */
  readonly done: number;
  /** Those that became dead letters. */
  readonly failed: number;
}

/** What `run.completed` resolves with. */
export interface CursorRunResult extends CursorRunProgress {
  /** The name of the cursor job. */
  readonly name: string;
  readonly status: CursorRunStatus;
  /** What ended the run, when `status` is `failed`. */
  readonly error: Error | undefined;
}
