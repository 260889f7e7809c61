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

/** The uploads that are being worked on. */
export class UploadFeed {
  private readonly runs = new Map<string, UploadRun>();

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
   * @throws UnknownUploadError, UploadNotReadyError
   */
  async process(uploadId: string): Promise<UploadRun> {
    const running = this.runs.get(uploadId);
    if (running !== undefined) return running;
    const upload = await this.store.find(uploadId);
    if (upload === undefined) throw new UnknownUploadError(uploadId);
    if (!READY.has(upload.status)) throw new UploadNotReadyError(uploadId, upload.status);
    // Another call for the same upload may have come this far meanwhile.
    const run = this.runs.get(uploadId) ?? new UploadRun(upload, this.pageSize, this.door, this.store);
    if (!this.runs.has(uploadId)) void this.keep(run);
    return run;
  }

  /** Stops reading rows in all runs; the pages that are worked on may end. Resolves when they have. */
  async interruptAll(): Promise<void> {
    const runs = [...this.runs.values()];
    for (const run of runs) run.interrupt();
    await Promise.all(runs.map(({ completed }) => completed));
  }

  private async keep(run: UploadRun): Promise<void> {
    this.runs.set(run.upload.id, run);
    const result = await run.completed;
    this.runs.delete(run.upload.id);
    this.listener.uploadEnded(result);
  }
}
