import { ProcessClosedError } from '../core/errors.js';
import type { Job, JobResult } from '../core/job.js';
import type { JobObserver } from '../core/submit-options.js';
import { toError } from '../core/to-error.js';
import type { FeedDoor } from './feed-door.js';
import { INSPECT, inspection, type Inspect } from '../core/inspection.js';
import { untilAborted } from './until-aborted.js';

/** A page as the queue takes it. */
export interface RunPage {
  readonly payloads: readonly unknown[];
  /** Told of each item as it ends. */
  readonly observer?: JobObserver;
}

/** Why a page or a run did not come to its end. */
export type CutShort =
  /** Items were cancelled, or the run was. */
  | 'cancelled'
  /** The process shut down, or `interrupt` was called. */
  | 'interrupted';

/** How a page or a run ended: a page when every item of it had, a run when its source had; or before. */
export type PageEnd = 'ended' | CutShort;

/**
 * One reading of a source, page by page: the next page is read while this one is worked on, and begun when what became
 * of this one is written down.
 */
export abstract class PagedRun<Page extends RunPage, Result> {
  /** Resolves with how the run ended. Never rejects. */
  readonly completed: Promise<Result>;
  /** Aborts when nothing more is to be read. */
  private readonly reading = new AbortController();
  /** Aborts when the page that is worked on is to be dropped. */
  private readonly working = new AbortController();
  private job: Job | undefined = undefined;
  private items = 0;
  private done = 0;
  private failed = 0;

  /** @internal */
  constructor(
    private readonly door: FeedDoor,
    private readonly type: string,
  ) {
    // A turn later: by then the subclass has set its fields.
    this.completed = Promise.resolve().then(() => this.run());
  }

  /**
   * Stops reading, and cancels what is left of the page that is worked on. A run whose last items have all ended by then
   * is completed all the same; one that has ended is left as it is.
   */
  cancel(): void {
    this.working.abort();
    this.reading.abort();
  }

  /** Stops reading; the page that is worked on may end. A run that has ended is left as it is. */
  interrupt(): void {
    this.reading.abort();
  }

  /** For answers over HTTP and messages. */
  abstract toJSON(): object;

  /** For people at a console. */
  [INSPECT](_depth: number, options: unknown, inspect: Inspect): string {
    return inspection(this, options, inspect);
  }

  /** What has to be done before the first page is read. */
  protected begin(): Promise<void> {
    return Promise.resolve();
  }

  protected abstract readFirst(): Promise<Page>;

  /** The page that follows `page`; undefined when `page` is the last one. */
  protected abstract readAfter(page: Page): Promise<Page> | undefined;

  /** Writes down what became of a page. */
  protected abstract record(page: Page, end: PageEnd): Promise<void>;

  /** Ends the run: its source has ended, or it was cut short. */
  protected abstract conclude(end: PageEnd): Promise<Result>;

  protected abstract result(status: CutShort | 'failed', error?: Error): Result;

  /** Aborts when nothing more is to be read. */
  protected get stopSignal(): AbortSignal {
    return this.reading.signal;
  }

  /** Items of the pages that were worked off, and of the one that is worked on, as their jobs count them. */
  protected counts(): { readonly items: number; readonly done: number; readonly failed: number } {
    const { accepted = 0, done = 0, failed = 0 } = this.job?.progress() ?? {};
    return { items: this.items + accepted, done: this.done + done, failed: this.failed + failed };
  }

  private async run(): Promise<Result> {
    try {
      await this.begin();
      return await this.conclude(await this.readThrough());
    } catch (error) {
      if (error instanceof ProcessClosedError) return this.result('interrupted');
      return this.result('failed', toError(error));
    } finally {
      // What is still being read has nobody left to wait for it.
      this.reading.abort();
    }
  }

  private async readThrough(): Promise<PageEnd> {
    let page = await this.unlessStopped(this.readFirst());
    while (page !== undefined) {
      const following = this.readAfter(page);
      // It is awaited after the page; until then, nobody else hears of its failure.
      following?.catch(() => undefined);
      const end = await this.workOff(page);
      await this.record(page, end);
      if (end !== 'ended' || following === undefined) return end;
      page = await this.unlessStopped(following);
    }
    return this.working.signal.aborted ? 'cancelled' : 'interrupted';
  }

  /** Undefined when the run is stopped, at once: a source that does not answer holds nobody up. */
  private async unlessStopped(page: Promise<Page>): Promise<Page | undefined> {
    try {
      return await untilAborted(page, this.stopSignal);
    } catch (error) {
      if (this.stopSignal.aborted) return undefined;
      throw error;
    }
  }

  private async workOff({ payloads, observer }: Page): Promise<PageEnd> {
    if (payloads.length === 0) return 'ended';
    this.job = await this.submit(payloads, observer);
    if (this.job === undefined) return 'interrupted';
    const result = await this.job.completed;
    this.job = undefined;
    this.items += result.total;
    this.done += result.done;
    this.failed += result.failed;
    if (result.error !== undefined) throw result.error;
    return endOf(result, payloads.length);
  }

  /** Undefined when the process shut down before there was room for all of the page. */
  private async submit(
    payloads: readonly unknown[],
    observer: JobObserver | undefined,
  ): Promise<Job | undefined> {
    const { signal } = this.working;
    try {
      return await this.door.distributeWork(this.type, payloads, { observer, signal, keptBySource: true });
    } catch (error) {
      if (error instanceof ProcessClosedError) return undefined;
      throw error;
    }
  }
}

/**
 * @param size items that the page has; not all of them may be in the job that was made of it
 */
function endOf({ done, failed, status }: JobResult, size: number): PageEnd {
  // What was cancelled when all of it was done anyway has ended like anything else.
  if (done + failed === size) return 'ended';
  return status === 'cancelled' ? 'cancelled' : 'interrupted';
}
