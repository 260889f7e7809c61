import { describe } from '../../core/describe.js';
import { BackgroundWorkerError } from '../../core/errors.js';
import type { FeedDoor } from '../feed-door.js';
import { PagedRun, type PageEnd } from '../paged-run.js';
import { checkedPage, type CheckedPage } from './checked-page.js';
import type { CursorCache } from './cursor-cache.js';
import type { CursorRunProgress, CursorRunResult, CursorRunStatus, CursorSource } from './cursor-source.js';
import { timeLimited } from './time-limited.js';

/** A cursor job. */
export interface CursorJobDefinition {
  /** Its name, and the key of its checkpoint. */
  readonly name: string;
  /** The worker type that the items go to. */
  readonly type: string;
  /** Items of a page at the most, 1 or more. */
  readonly pageSize: number;
  /** Milliseconds that the source may take for a page; 0: any time. Default 60,000. */
  readonly fetchTimeoutMs?: number;
  readonly source: CursorSource;
}

const FETCH_TIMEOUT_MS = 60_000;

/**
 * A source took longer than `fetchTimeoutMs` for a page. The run fails, and the checkpoint is kept; the reason of the
 * signal that `fetchPage` was given.
 */
export class FetchTimeLimitError extends BackgroundWorkerError {
  readonly code = 'FETCH_TIME_LIMIT';

  constructor(
    readonly jobName: string,
    /** Milliseconds that a page may take. */
    readonly fetchTimeoutMs: number,
  ) {
    super(
      `Cursor job ${describe(jobName)}: fetchPage passed its time limit, fetchTimeoutMs (${fetchTimeoutMs})`,
    );
  }
}

/**
 * One reading of a source, from its checkpoint to its end. The next page is fetched while this one is worked on; the
 * checkpoint moves when every item of the page has ended, past the last page of the run only after `onRunCompleted` has
 * resolved. So a crash repeats the page that was worked on and the one after at the most, and `onRunCompleted` is called
 * once or, if it or the process fails there, again after the last page has been repeated.
 */
export class CursorRun extends PagedRun<CheckedPage, CursorRunResult> {
  private pages = 0;
  /** Where a next run begins when the pages of this one are done with. */
  private next: unknown = undefined;

  constructor(
    private readonly definition: CursorJobDefinition,
    door: FeedDoor,
    private readonly cache: CursorCache,
  ) {
    super(door, definition.type);
  }

  /** The name of the cursor job. */
  get name(): string {
    return this.definition.name;
  }

  /** The counts of this moment. */
  progress(): CursorRunProgress {
    return { pages: this.pages, ...this.counts() };
  }

  /** For answers over HTTP and messages. */
  toJSON(): CursorRunProgress & { readonly name: string } {
    return { name: this.name, ...this.progress() };
  }

  protected async readFirst(): Promise<CheckedPage> {
    return this.fetch(await this.cache.load(this.name));
  }

  protected readAfter({ next, isLast }: CheckedPage): Promise<CheckedPage> | undefined {
    return isLast ? undefined : this.fetch(next);
  }

  protected async record({ next, isLast }: CheckedPage, end: PageEnd): Promise<void> {
    if (end !== 'ended') return;
    this.pages++;
    this.next = next;
    if (!isLast) await this.moveCheckpoint();
  }

  protected async conclude(end: PageEnd): Promise<CursorRunResult> {
    if (end !== 'ended') return this.result(end);
    const result = this.result('completed');
    await this.definition.source.onRunCompleted?.(result);
    await this.moveCheckpoint();
    return result;
  }

  protected result(status: CursorRunStatus, error?: Error): CursorRunResult {
    return Object.freeze({ name: this.name, status, ...this.progress(), error });
  }

  private async moveCheckpoint(): Promise<void> {
    if (this.next === undefined) await this.cache.clear(this.name);
    else await this.cache.save(this.name, this.next);
  }

  private async fetch(cursor: unknown): Promise<CheckedPage> {
    const { name, source, pageSize, fetchTimeoutMs = FETCH_TIMEOUT_MS } = this.definition;
    const page = await timeLimited<unknown>((signal) => source.fetchPage(cursor, pageSize, signal), {
      clock: this.door.clock,
      limitMs: fetchTimeoutMs,
      limitError: () => new FetchTimeLimitError(name, fetchTimeoutMs),
      stop: this.stopSignal,
    });
    return checkedPage(name, cursor, page);
  }
}
