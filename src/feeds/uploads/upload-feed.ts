import { ProcessClosedError } from '../../core/errors.js';
import type { FeedDoor } from '../feed-door.js';
import { UnknownUploadError, UploadNotReadyError, UploadRun, type UploadRunResult } from './upload-run.js';
import type { UploadStatus, UploadStore } from './upload-store.js';

/** What an upload feed tells. */
export interface UploadFeedListener {
  uploadEnded(result: UploadRunResult): void;
}

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
  private isStopped = false;

  constructor(
    private readonly door: FeedDoor,
    private readonly store: UploadStore,
    private readonly pageSize: number,
    private readonly listener: UploadFeedListener,
  ) {}

  /**
   * Works off the rows of an upload that have not ended, unless that is going on already.
   *
   * @returns the run that is under way now
   * @throws UnknownUploadError, UploadNotReadyError, ProcessClosedError
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
    this.isStopped = true;
    await Promise.all([...this.runs.values()].map(interrupt));
  }

  private async start(uploadId: string): Promise<UploadRun> {
    const upload = await this.store.find(uploadId);
    if (upload === undefined) throw new UnknownUploadError(uploadId);
    if (!READY.has(upload.status)) throw new UploadNotReadyError(uploadId, upload.status);
    if (this.isStopped) throw new ProcessClosedError('processUserUpload()');
    return new UploadRun(upload, this.pageSize, this.door, this.store);
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
