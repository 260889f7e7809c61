import { describe } from '../../core/describe.js';
import { BackgroundWorkerError, ProcessClosedError } from '../../core/errors.js';
import type { Job, JobObserver } from '../../core/job.js';
import { toError } from '../../core/to-error.js';
import type { FeedDoor } from '../feed-door.js';
import type { RowOutcome, Upload, UploadRow, UploadStatus, UploadStore } from './upload-store.js';

/** There is no upload of this id. */
export class UnknownUploadError extends BackgroundWorkerError {
  readonly code = 'UNKNOWN_UPLOAD';

  constructor(readonly uploadId: unknown) {
    super(`Unknown upload ${describe(uploadId)}`);
  }
}

/** The upload is in a state in which its rows can't be worked on. */
export class UploadNotReadyError extends BackgroundWorkerError {
  readonly code = 'UPLOAD_NOT_READY';

  constructor(
    readonly uploadId: string,
    readonly status: UploadStatus,
  ) {
    super(`Upload ${describe(uploadId)}: expected one that was received in full, got one that is ${status}`);
  }
}

/** How the work on an upload ended. */
export interface UploadRunResult {
  readonly uploadId: string;
  readonly status: 'completed' | 'completed-with-failures' | 'cancelled' | 'interrupted' | 'failed';
  /** Rows worked on in this run. */
  readonly rows: number;
  readonly done: number;
  readonly failed: number;
  /** What ended the run, when `status` is `failed`. */
  readonly error: Error | undefined;
}

/**
 * Works off an upload: its rows are read in pages, in the order of their numbers, and each row's outcome is written back
 * when its page has ended. What a crash leaves without an outcome is worked on again by the next run.
 */
export class UploadRun {
  /** Resolves with how the run ended. Never rejects. */
  readonly completed: Promise<UploadRunResult>;
  private job: Job | undefined = undefined;
  private ending: 'cancelled' | 'interrupted' | undefined = undefined;
  private rows = 0;
  private done = 0;
  private failed = 0;

  constructor(
    readonly upload: Upload,
    private readonly pageSize: number,
    private readonly door: FeedDoor,
    private readonly store: UploadStore,
  ) {
    this.completed = this.run();
  }

  progress(): { readonly total: number; readonly done: number; readonly failed: number } {
    const { done = 0, failed = 0 } = this.job?.progress() ?? {};
    return { total: this.upload.rows, done: this.done + done, failed: this.failed + failed };
  }

  /** Stops reading rows, and cancels what is left of the page. Rows without an outcome stay as they are. */
  cancel(): void {
    this.ending ??= 'cancelled';
    this.job?.cancel();
  }

  /** Stops reading rows; the page that is worked on may end. */
  interrupt(): void {
    this.ending ??= 'interrupted';
  }

  /** For answers over HTTP and messages. */
  toJSON(): { uploadId: string; total: number; done: number; failed: number } {
    return { uploadId: this.upload.id, ...this.progress() };
  }

  private async run(): Promise<UploadRunResult> {
    try {
      await this.store.start(this.upload.id);
      let page = await this.readAfter(0);
      while (page.length > 0 && this.ending === undefined) {
        const following = this.readAfter(page.at(-1)!.number);
        // It is awaited after the page; until then, nobody else hears of its failure.
        following.catch(() => undefined);
        await this.workOff(page);
        page = await following;
      }
      if (this.ending !== undefined) return this.result(this.ending);
      const { status } = await this.store.finish(this.upload.id);
      return this.result(status === 'completed' ? 'completed' : 'completed-with-failures');
    } catch (error) {
      if (this.ending !== undefined) return this.result(this.ending);
      if (error instanceof ProcessClosedError) return this.result('interrupted');
      return this.result('failed', toError(error));
    }
  }

  private readAfter(number: number): Promise<readonly UploadRow[]> {
    return this.store.readPage(this.upload.id, number, this.pageSize);
  }

  private async workOff(page: readonly UploadRow[]): Promise<void> {
    const outcomes: RowOutcome[] = [];
    const observer: JobObserver = {
      itemEnded: (index, outcome, attempts) => {
        const error = outcome.kind === 'dead' ? outcome.error.message : undefined;
        outcomes.push({ number: page[index]!.number, attempts, error });
      },
    };
    const payloads = page.map(({ payload }) => payload);
    this.job = await this.door.distributeWork(this.upload.type, payloads, { observer });
    // While it waited for room, there was no job to cancel.
    if (this.ending === 'cancelled') this.job.cancel();
    const { done, failed, cancelled, handedBack } = await this.job.completed;
    this.job = undefined;
    this.rows += outcomes.length;
    this.done += done;
    this.failed += failed;
    await this.store.recordOutcomes(this.upload.id, outcomes);
    if (cancelled > 0) this.ending ??= 'cancelled';
    if (handedBack > 0) this.ending ??= 'interrupted';
  }

  private result(status: UploadRunResult['status'], error?: Error): UploadRunResult {
    const { upload, rows, done, failed } = this;
    return Object.freeze({ uploadId: upload.id, status, rows, done, failed, error });
  }
}
