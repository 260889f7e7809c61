import { ProcessClosedError } from '../../core/errors.js';
import type { FeedDoor } from '../feed-door.js';
import { LateOutcomes } from './late-outcomes.js';
import { UnknownUploadError, UploadNotReadyError } from './upload-errors.js';
import { UploadRun, type UploadRunResult } from './upload-run.js';
import { UploadStoreCalls, type StoreToWorkFrom } from './upload-store-calls.js';
import type { UploadStatus } from './upload-store.js';

/** What became of redriven rows could not be written, in the time for it. */
export interface UnwrittenOutcomes {
  readonly uploadId: string;
  /**
   * The numbers of the rows, which the store has as they stood before. None: all outcomes are written, and it was the
   * upload's status that could not be brought up to date.
   */
  readonly rows: readonly number[];
  readonly error: Error;
}

/** What an upload feed tells. */
export interface UploadFeedListener {
  uploadEnded(result: UploadRunResult): void;
  outcomesNotWritten(unwritten: UnwrittenOutcomes): void;
}

const PAGE_SIZE = 1_000;
const CALL_TIMEOUT_MS = 60_000;

const READY: ReadonlySet<UploadStatus> = new Set<UploadStatus>([
  'received',
  'processing',
  'completed',
  'completed-with-failures',
]);

/** The uploads that are being worked on. An upload has one run at a time. */
export class UploadFeed {
  /** By the id of the upload, those that are still being looked up included. */
  private readonly runs = new Map<string, Promise<UploadRun>>();
  /** The writes that no run waits for. */
  private readonly writing = new Set<Promise<void>>();
  /** Aborts when no run will be started any more. */
  private readonly stopped = new AbortController();
  private readonly store: UploadStoreCalls;

  /** @param callTimeoutMs milliseconds that each call of the store may take; then the run fails. 0: any time */
  constructor(
    private readonly door: FeedDoor,
    store: StoreToWorkFrom,
    private readonly pageSize = PAGE_SIZE,
    private readonly listener: UploadFeedListener,
    callTimeoutMs = CALL_TIMEOUT_MS,
  ) {
    this.store = new UploadStoreCalls(store, {
      clock: door.clock,
      callTimeoutMs,
      closing: this.stopped.signal,
    });
  }

  /**
   * Works off the rows of an upload that have not ended, unless that is going on already.
   *
   * @returns the run that is under way now
   * @throws UnknownUploadError, UploadNotReadyError, UnknownWorkerTypeError, UploadCallTimeLimitError, ProcessClosedError
   */
  process(uploadId: string): Promise<UploadRun> {
    const underWay = this.runs.get(uploadId);
    if (underWay !== undefined) return underWay;
    const run = this.start(uploadId);
    this.runs.set(uploadId, run);
    void this.forgetWhenEnded(uploadId, run);
    return run;
  }

  /** Stops reading rows in all runs; the pages that are worked on may end. Resolves when they have. */
  async interruptAll(): Promise<void> {
    this.stopped.abort();
    await Promise.all([...this.runs.values()].map(interrupt));
  }

  /** Resolves when the outcomes are written that came after their pages were recorded. */
  async lateOutcomesWritten(): Promise<void> {
    while (this.writing.size > 0) await Promise.all(this.writing);
  }

  private async start(uploadId: string): Promise<UploadRun> {
    const upload = await this.store.find(uploadId);
    if (upload === undefined) throw new UnknownUploadError(uploadId);
    if (!READY.has(upload.status)) throw new UploadNotReadyError(uploadId, upload.status);
    // Else its rows would be worked on by nobody, and it would be `processing` for ever.
    this.door.requireType(upload.type);
    if (this.stopped.signal.aborted) throw new ProcessClosedError('processUserUpload()');
    return new UploadRun(upload, this.pageSize, this.door, this.store, this.lateOutcomes(uploadId));
  }

  private lateOutcomes(uploadId: string): LateOutcomes {
    return new LateOutcomes(uploadId, this.store, {
      writingBegan: (writing) => {
        this.writing.add(writing);
        void writing.then(() => this.writing.delete(writing));
      },
      writeFailed: (rows, error) => this.listener.outcomesNotWritten({ uploadId, rows, error }),
    });
  }

  private async forgetWhenEnded(uploadId: string, starting: Promise<UploadRun>): Promise<void> {
    const run = await startedRun(starting);
    const result = await run?.completed;
    this.runs.delete(uploadId);
    if (result !== undefined) this.listener.uploadEnded(result);
  }
}

async function interrupt(starting: Promise<UploadRun>): Promise<void> {
  const run = await startedRun(starting);
  run?.interrupt();
  await run?.completed;
}

/** Undefined when it could not be started, of which whoever asked for it is told. */
function startedRun(starting: Promise<UploadRun>): Promise<UploadRun | undefined> {
  return starting.catch(() => undefined);
}
