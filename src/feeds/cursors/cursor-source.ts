/** A slice of a data source. */
export interface Page<Payload, Cursor> {
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
   * @param limit items that the page should have at the most
   * @param signal aborts when the run is cancelled or the process shuts down
   */
  fetchPage(cursor: Cursor | undefined, limit: number, signal: AbortSignal): Promise<Page<Payload, Cursor>>;

  /** Called when a run has read the source to its end and every item of it has ended. */
  onRunCompleted?(result: CursorRunResult): void | Promise<void>;
}

/** Why a run was started. */
export type TriggerCause = 'cron' | 'manual' | 'message';

/** One call for a cursor job to run. */
export interface Trigger {
  readonly name: string;
  readonly cause: TriggerCause;
}

/** How a run ended. */
export type CursorRunStatus =
  /** The source was read to its end. */
  | 'completed'
  /** The source threw, or contradicted itself. The checkpoint is kept. */
  | 'failed'
  /** `cancel` was called. The checkpoint is kept. */
  | 'cancelled'
  /** The process shut down first. The checkpoint is kept. */
  | 'interrupted';

/** Counts of a run at one moment. */
export interface CursorRunProgress {
  /** Pages whose items have all ended. */
  readonly pages: number;
  /** Items of these pages and of the one that is worked on. */
  readonly items: number;
  readonly done: number;
  readonly failed: number;
}

export interface CursorRunResult extends CursorRunProgress {
  readonly name: string;
  readonly status: CursorRunStatus;
  /** What ended the run, when `status` is `failed`. */
  readonly error: Error | undefined;
}
