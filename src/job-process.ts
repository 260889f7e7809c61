import { Inject, Injectable } from '@nestjs/common';
import type { WorkerProcessOptionsInput } from './core/options.js';
import { findProblems, refuseProblems, signal } from './core/option-rules.js';
import { toError } from './core/to-error.js';
import { within } from './core/within.js';
import { WorkerProcess } from './core/worker-process.js';
import { MemoryCursorCache, type CursorCache } from './feeds/cursors/cursor-cache.js';
import { CursorFeed } from './feeds/cursors/cursor-feed.js';
import type { CursorJobDefinition } from './feeds/cursors/cursor-definition.js';
import type { CursorRun } from './feeds/cursors/cursor-run.js';
import type { CursorRunResult, Trigger, TriggerCause } from './feeds/cursors/cursor-source.js';
import { MessageSubscription, type Subscribe } from './feeds/messages/message-subscription.js';
import type { MessageOptions } from './feeds/messages/message-options.js';
import { UploadFeed, type UnwrittenOutcomes, type UploadFeedListener } from './feeds/uploads/upload-feed.js';
import type { UploadRun, UploadRunResult } from './feeds/uploads/upload-run.js';
import { NoUploadStoreError } from './feeds/uploads/upload-errors.js';
import type { UploadStore } from './feeds/uploads/upload-store.js';
import { WRITE_DOWN_MS } from './feeds/write-down-time.js';

declare module './core/events.js' {
  interface WorkerProcessEvents {
    /** A run of a cursor job ended, in whatever way. */
    cursorRunEnded: CursorRunResult & { readonly cause: TriggerCause };
    /** A cursor job was triggered while it ran; nothing was started. */
    triggerSkipped: Trigger;
    /** The work on an upload ended, in whatever way. */
    uploadEnded: UploadRunResult;
    /** What became of rows whose dead letters were redriven is lost to the store of the upload. */
    outcomesNotWritten: UnwrittenOutcomes;
  }
}

/** DI token of the `JobProcessSetup`. */
export const JOB_PROCESS_SETUP = Symbol('JOB_PROCESS_SETUP');

/** What a job process is made of. */
export interface JobProcessSetup {
  /** Options of the worker process. Default: all as by default. */
  readonly process?: WorkerProcessOptionsInput;
  /** Where the checkpoints of cursor jobs are kept. Default: in memory. */
  readonly cursorCache?: CursorCache;
  /** Where uploads are kept. Without one, `processUserUpload` rejects. */
  readonly uploadStore?: UploadStore;
  /** Rows of a page of an upload at the most, 1 or more. Default 1,000. */
  readonly uploadPageSize?: number;
  /** Milliseconds that each call of the upload store may take; then the run fails. 0: any time. Default 60,000. */
  readonly uploadCallTimeoutMs?: number;
}

/**
 * The application's worker process, and the one door for all three feeds: messages, cursors and uploads. Injected
 * where work is to be started. To extend it, subclass it and pass the class as `forRoot({ jobProcess })`.
 */
@Injectable()
export class JobProcess extends WorkerProcess {
  readonly cursorCache: CursorCache;
  private readonly cursors: CursorFeed;
  private readonly uploads: UploadFeed | undefined;
  private readonly subscriptions = new Set<{ close(): Promise<void> }>();
  private ended: Promise<void> | undefined = undefined;
  private feedsStopped: Promise<void> | undefined = undefined;

  /** @throws InvalidOptionsError that names every wrong option of `process` */
  constructor(@Inject(JOB_PROCESS_SETUP) setup: JobProcessSetup = {}) {
    super(setup.process);
    this.events.add(['cursorRunEnded', 'triggerSkipped', 'uploadEnded', 'outcomesNotWritten']);
    this.cursorCache = setup.cursorCache ?? new MemoryCursorCache();
    this.cursors = new CursorFeed(this, this.cursorCache, {
      runEnded: (result, cause) => this.events.emit('cursorRunEnded', { ...result, cause }),
      triggerSkipped: (trigger) => this.events.emit('triggerSkipped', trigger),
    });
    const { uploadStore, uploadPageSize, uploadCallTimeoutMs } = setup;
    const told: UploadFeedListener = {
      uploadEnded: (result) => this.events.emit('uploadEnded', result),
      outcomesNotWritten: (unwritten) => this.events.emit('outcomesNotWritten', unwritten),
    };
    this.uploads =
      uploadStore && new UploadFeed(this, uploadStore, uploadPageSize, told, uploadCallTimeoutMs);
  }

  /**
   * Feeds messages to a worker type until the subscription is closed.
   *
   * @param subscribe lets the messages come: it is given the function to call with each one
   * @throws UnknownWorkerTypeError, InvalidOptionsError, ProcessClosedError; what `subscribe` throws
   */
  async processQueueMessages<Message, Payload = Message>(
    type: string,
    subscribe: Subscribe<Message>,
    options?: MessageOptions<Message, Payload>,
  ): Promise<MessageSubscription<Message, Payload>> {
    const subscription = this.openSubscription<Message, Payload>(type, options);
    await subscription.open(subscribe);
    return subscription;
  }

  /** A subscription to which messages are handed by `deliver`. @throws UnknownWorkerTypeError, InvalidOptionsError, ProcessClosedError */
  openSubscription<Message, Payload = Message>(
    type: string,
    options?: MessageOptions<Message, Payload>,
  ): MessageSubscription<Message, Payload> {
    this.requireType(type);
    this.refuseWhenClosed('processQueueMessages()');
    const subscription = new MessageSubscription<Message, Payload>(this, type, options, () =>
      this.subscriptions.delete(subscription),
    );
    this.subscriptions.add(subscription);
    return subscription;
  }

  /** Makes a cursor job known. @throws InvalidOptionsError, DuplicateCursorJobError, UnknownWorkerTypeError */
  registerCursorJob(definition: CursorJobDefinition): void {
    this.requireType(definition.type);
    this.cursors.register(definition);
  }

  /**
   * Runs a cursor job from its checkpoint to the end of its source; if it is running already, nothing is started.
   *
   * @returns the run that is under way
   * @throws UnknownCursorJobError, ProcessClosedError
   */
  processCursorData(name: string, cause: TriggerCause = 'manual'): CursorRun {
    this.refuseWhenClosed('processCursorData()');
    return this.cursors.trigger(name, cause);
  }

  /**
   * Resolves at the next trigger of a cursor job that starts a run.
   *
   * @throws UnknownCursorJobError, InvalidOptionsError; ProcessClosedError when the process shuts down or has been closed; rejects with the
   *   signal's reason when it aborts first
   */
  async waitForTrigger(name: string, options: { readonly signal?: AbortSignal } = {}): Promise<Trigger> {
    refuseProblems('waitForTrigger()', findProblems(options, { signal }));
    return this.cursors.waitForTrigger(name, options.signal);
  }

  /** The names of the cursor jobs. */
  get cursorJobs(): string[] {
    return this.cursors.names;
  }

  /**
   * Works on the rows of an upload that have not ended; if that is going on already, nothing is started.
   *
   * @returns the run that is under way
   * @throws UnknownUploadError, UploadNotReadyError, UnknownWorkerTypeError, NoUploadStoreError, ProcessClosedError; the
   *   upload is left as it was then
   */
  async processUserUpload(uploadId: string): Promise<UploadRun> {
    this.refuseWhenClosed('processUserUpload()');
    if (this.uploads === undefined) throw new NoUploadStoreError();
    return this.uploads.process(uploadId);
  }

  /**
   * Stops the feeds, then ends the process as `WorkerProcess.shutdown` does, then lets the feeds write down what was
   * done. A `fetchPage` that does not answer is not waited for, and a cursor cache for 5 seconds; a store, an
   * `onRunCompleted` or an unsubscribing that does not is for `shutdownTimeoutMs`, or for 5 seconds after the items have
   * ended if that is longer. A second call returns the same promise.
   */
  override shutdown(): Promise<void> {
    this.ended ??= this.endInOrder(super.shutdown());
    return this.ended;
  }

  private async endInOrder(itemsEnded: Promise<void>): Promise<void> {
    const { clock, shutdownTimeoutMs } = this.options;
    const deadlineMs = clock.now() + shutdownTimeoutMs;
    this.feedsStopped ??= this.stopFeeds();
    await itemsEnded;
    // Only now is it certain that no more outcomes come.
    const writtenDown = this.feedsStopped.then(() => this.uploads?.lateOutcomesWritten());
    await within(clock, Math.max(WRITE_DOWN_MS, deadlineMs - clock.now()), writtenDown);
  }

  /** Nothing that the feeds bring would be worked on. */
  protected override poolEnds(): void {
    super.poolEnds();
    this.feedsStopped ??= this.stopFeeds();
  }

  private async stopFeeds(): Promise<void> {
    const closing = [...this.subscriptions].map((subscription) => this.closeSubscription(subscription));
    await Promise.all([...closing, this.cursors.interruptAll(), this.uploads?.interruptAll()]);
  }

  /** A subscription that can't be ended must not cost the others their end. */
  private async closeSubscription(subscription: { close(): Promise<void> }): Promise<void> {
    try {
      await subscription.close();
    } catch (error) {
      this.events.emit('callbackFailed', { event: 'unsubscribe', error: toError(error) });
    }
  }
}
