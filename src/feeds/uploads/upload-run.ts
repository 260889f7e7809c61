import type { FeedDoor } from '../feed-door.js';
import { PagedRun, type PageEnd, type RunPage } from '../paged-run.js';
import type { LateOutcomes } from './late-outcomes.js';
import { PageOutcomes } from './page-outcomes.js';
import { RowTally } from './row-tally.js';
import type { UploadStoreCalls } from './upload-store-calls.js';
import type { Upload, UploadRow } from './upload-store.js';

/** How the work on an upload ended. */
export type UploadRunStatus =
  /** Every row of the upload is done. */
  | 'completed'
  /** Every row of the upload has ended, some as failed. */
  | 'completed-with-failures'
  /** It was cancelled before its end. The rows without an outcome are worked on by the next run. */
  | 'cancelled'
  /** The process shut down first, or rows without an outcome were left: they are worked on by the next run. */
  | 'interrupted'
  /** The store failed, or did not answer in time. The rows without an outcome are worked on by the next run. */
  | 'failed';

/** What `run.completed` resolves with. `rows`, `done` and `failed` count what was worked on in this run. */
export interface UploadRunResult {
  readonly uploadId: string;
  /** How the run ended; when it came to its end, as what the store then has of the whole upload. */
  readonly status: UploadRunStatus;
  /** Rows that ended. */
  readonly rows: number;
  /** Rows that were completed. */
  readonly done: number;
  /** Rows whose items became dead letters. */
  readonly failed: number;
  /** What ended the run, when `status` is `failed`. */
  readonly error: Error | undefined;
}

/** Counts of a whole upload at one moment. */
export interface UploadRunProgress {
  /** Rows of the upload. */
  readonly total: number;
  /** Those that are done: before this run and in it. */
  readonly done: number;
  /** Those that failed: before this run and in it. */
  readonly failed: number;
}

/** The rows of a page; without any, the upload has no more. */
interface UploadPage extends RunPage {
  readonly rows: readonly UploadRow[];
  readonly observer: PageOutcomes;
}

/**
 * Works off an upload: its rows are read in pages, in the order of their numbers, and each row's outcome is written back
 * when its page has ended. What a crash leaves without an outcome is worked on again by the next run. A row whose dead
 * letter is redriven has its new outcome written when it comes, even after the run has ended.
 */
export class UploadRun extends PagedRun<UploadPage, UploadRunResult> {
  private readonly tally = new RowTally();

  /** @internal */
  constructor(
    /** The upload as the store had it when the run began. */
    readonly upload: Upload,
    private readonly pageSize: number,
    door: FeedDoor,
    private readonly store: UploadStoreCalls,
    private readonly late: LateOutcomes,
  ) {
    super(door, upload.type);
  }

  /** The counts of this moment, of the whole upload: what the store had when the run began, and what this run did. */
  progress(): UploadRunProgress {
    const { rows: total, done, failed } = this.upload;
    return { total, done: done + this.tally.done, failed: failed + this.tally.failed };
  }

  /** For answers over HTTP and messages. */
  toJSON(): UploadRunProgress & { readonly uploadId: string } {
    return { uploadId: this.upload.id, ...this.progress() };
  }

  protected override begin(): Promise<void> {
    return this.store.start(this.upload.id);
  }

  protected readFirst(): Promise<UploadPage> {
    return this.read(0);
  }

  protected readAfter({ rows }: UploadPage): Promise<UploadPage> | undefined {
    const last = rows.at(-1);
    return last === undefined ? undefined : this.read(last.number);
  }

  /** Of a page that was cut short, too: its rows that have ended are not to be worked on again. */
  protected async record({ observer }: UploadPage): Promise<void> {
    await observer.record((outcomes) => this.store.recordOutcomes(this.upload.id, outcomes));
  }

  protected async conclude(end: PageEnd): Promise<UploadRunResult> {
    // The status tells of them, too.
    await this.late.written();
    const { status } = await this.store.finish(this.upload.id);
    if (status === 'completed' || status === 'completed-with-failures') return this.result(status);
    return this.result(end === 'ended' ? 'interrupted' : end);
  }

  protected result(status: UploadRunStatus, error?: Error): UploadRunResult {
    const { done, failed } = this.tally;
    return Object.freeze({
      uploadId: this.upload.id,
      status,
      rows: done + failed,
      done,
      failed,
      error,
    });
  }

  private async read(after: number): Promise<UploadPage> {
    const rows = await this.store.readPage(this.upload.id, after, this.pageSize, this.stopSignal);
    const numbers = rows.map(({ number }) => number);
    return {
      rows,
      payloads: rows.map(({ payload }) => payload),
      observer: new PageOutcomes(numbers, this.tally, this.late),
    };
  }
}
