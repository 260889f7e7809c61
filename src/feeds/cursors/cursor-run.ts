import type { FeedDoor } from '../feed-door.js';
import { PagedRun, type PageEnd } from '../paged-run.js';
import { checkedPage, type CheckedPage } from './checked-page.js';
import type { Checkpoint } from './checkpoint.js';
import type { CursorCalls } from './cursor-calls.js';
import type { CursorJob } from './cursor-definition.js';
import type { CursorRunProgress, CursorRunResult, CursorRunStatus } from './cursor-source.js';

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

  /** @internal */
  constructor(
    private readonly definition: CursorJob,
    door: FeedDoor,
    private readonly calls: CursorCalls,
    private readonly checkpoint: Checkpoint,
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
    return this.fetch(await this.checkpoint.load(this.stopSignal));
  }

  protected readAfter({ next, isLast }: CheckedPage): Promise<CheckedPage> | undefined {
    return isLast ? undefined : this.fetch(next);
  }

  protected async record({ next, isLast }: CheckedPage, end: PageEnd): Promise<void> {
    if (end !== 'ended') return;
    this.pages++;
    this.next = next;
    if (!isLast) await this.checkpoint.move(next, this.stopSignal);
  }

  protected async conclude(end: PageEnd): Promise<CursorRunResult> {
    if (end !== 'ended') return this.result(end);
    const result = this.result('completed');
    await this.tellEnd(result);
    await this.checkpoint.move(this.next, this.stopSignal);
    return result;
  }

  protected result(status: CursorRunStatus, error?: Error): CursorRunResult {
    return Object.freeze({ name: this.name, status, ...this.progress(), error });
  }

  private async fetch(cursor: unknown): Promise<CheckedPage> {
    const { name, source, pageSize } = this.definition;
    const page = await this.calls.make<unknown>(
      { call: 'fetchPage', stop: this.stopSignal, stoppedMs: 0 },
      (signal) => source.fetchPage(cursor, pageSize, signal),
    );
    return checkedPage(name, cursor, page);
  }

  /** Work like that of a handler: a stop lets it go on, and a shutdown waits for it as for those. */
  private async tellEnd(result: CursorRunResult): Promise<void> {
    await this.calls.make({ call: 'onRunCompleted', stop: this.stopSignal, stoppedMs: Infinity }, (signal) =>
      this.definition.source.onRunCompleted?.(result, signal),
    );
  }
}
