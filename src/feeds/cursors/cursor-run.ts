import { describe } from '../../core/describe.js';
import { BackgroundWorkerError, ProcessClosedError } from '../../core/errors.js';
import type { Job } from '../../core/job.js';
import { toError } from '../../core/to-error.js';
import type { FeedDoor } from '../feed-door.js';
import type { CursorCache } from './cursor-cache.js';
import type {
  CursorRunProgress,
  CursorRunResult,
  CursorRunStatus,
  CursorSource,
  Page,
} from './cursor-source.js';

/** What a cursor job is, once its options are complete. */
export interface CursorJobDefinition {
  readonly name: string;
  /** The worker type that the items go to. */
  readonly type: string;
  /** Items of a page at the most. */
  readonly pageSize: number;
  readonly source: CursorSource;
}

/** A source returned a page it must not: it can't be read on. */
export class InvalidPageError extends BackgroundWorkerError {
  readonly code = 'INVALID_PAGE';

  constructor(name: string, problem: string) {
    super(`Cursor job ${JSON.stringify(name)}: ${problem}`);
  }
}

/**
 * One reading of a source, from its checkpoint to its end. The next page is fetched while this one is worked on; the
 * checkpoint moves when every item of the page has ended, so a crash repeats that page and the one after at the most.
 */
export class CursorRun {
  /** Resolves with how the run ended. Never rejects. */
  readonly completed: Promise<CursorRunResult>;
  private readonly abort = new AbortController();
  private job: Job | undefined = undefined;
  private ending: 'cancelled' | 'interrupted' | undefined = undefined;
  private pages = 0;
  private items = 0;
  private done = 0;
  private failed = 0;

  constructor(
    private readonly definition: CursorJobDefinition,
    private readonly door: FeedDoor,
    private readonly cache: CursorCache,
  ) {
    this.completed = this.run();
  }

  get name(): string {
    return this.definition.name;
  }

  progress(): CursorRunProgress {
    const { done = 0, failed = 0, accepted = 0 } = this.job?.progress() ?? {};
    return {
      pages: this.pages,
      items: this.items + accepted,
      done: this.done + done,
      failed: this.failed + failed,
    };
  }

  /** Stops reading, and cancels what is left of the page. The checkpoint stays where it is. */
  cancel(): void {
    this.stop('cancelled');
    this.job?.cancel();
  }

  /** Stops reading; the page that is worked on may end. */
  interrupt(): void {
    this.stop('interrupted');
  }

  /** For answers over HTTP and messages. */
  toJSON(): CursorRunProgress & { name: string } {
    return { name: this.name, ...this.progress() };
  }

  private stop(ending: 'cancelled' | 'interrupted'): void {
    this.ending ??= ending;
    this.abort.abort();
  }

  private async run(): Promise<CursorRunResult> {
    try {
      const checkpoint = await this.cache.load(this.name);
      await this.readFrom(checkpoint);
      if (this.ending !== undefined) return this.result(this.ending);
      const result = this.result('completed');
      await this.definition.source.onRunCompleted?.(result);
      return result;
    } catch (error) {
      if (this.ending !== undefined) return this.result(this.ending);
      if (error instanceof ProcessClosedError) return this.result('interrupted');
      return this.result('failed', toError(error));
    }
  }

  private async readFrom(checkpoint: unknown): Promise<void> {
    let cursor = checkpoint;
    let page = await this.fetch(cursor);
    for (;;) {
      const following = hasFollowing(page) ? this.fetch(page.next) : undefined;
      // It is awaited after the page; until then, nobody else hears of its failure.
      following?.catch(() => undefined);
      if (!(await this.workOff(page))) return;
      cursor = page.next;
      if (cursor === undefined) await this.cache.clear(this.name);
      else await this.cache.save(this.name, cursor);
      if (following === undefined || this.ending !== undefined) return;
      page = await following;
    }
  }

  /** @returns whether every item of the page has ended on its own */
  private async workOff(page: Page<unknown, unknown>): Promise<boolean> {
    this.job = await this.door.distributeWork(this.definition.type, page.items);
    // While it waited for room, there was no job to cancel.
    if (this.ending === 'cancelled') this.job.cancel();
    const { total, done, failed, cancelled, handedBack } = await this.job.completed;
    this.job = undefined;
    this.items += total;
    this.done += done;
    this.failed += failed;
    if (cancelled > 0 || handedBack > 0) {
      this.ending ??= cancelled > 0 ? 'cancelled' : 'interrupted';
      return false;
    }
    this.pages++;
    return true;
  }

  private async fetch(cursor: unknown): Promise<Page<unknown, unknown>> {
    const { source, pageSize } = this.definition;
    const page: unknown = await source.fetchPage(cursor, pageSize, this.abort.signal);
    if (!isPage(page)) {
      throw new InvalidPageError(
        this.name,
        `expected fetchPage to return { items: [...], next }, got ${describe(page)}`,
      );
    }
    const next = page.next ?? undefined;
    if (next !== undefined) this.checkNext(cursor, next, page.isLast === true);
    return { ...page, next };
  }

  /** A position has to outlast the process, and to be another one than that of its page. */
  private checkNext(cursor: unknown, next: unknown, isLast: boolean): void {
    const position = jsonText(next);
    if (position === undefined) {
      throw new InvalidPageError(this.name, `expected next to be a JSON value, got ${describe(next)}`);
    }
    if (isLast || position !== jsonText(cursor)) return;
    throw new InvalidPageError(
      this.name,
      `the page after cursor ${position} has the same cursor as its next, and would be read for ever`,
    );
  }

  private result(status: CursorRunStatus, error?: Error): CursorRunResult {
    return Object.freeze({ name: this.name, status, ...this.progress(), error });
  }
}

function hasFollowing(page: Page<unknown, unknown>): boolean {
  return page.next !== undefined && page.isLast !== true;
}

/** Undefined for what JSON can't say. */
function jsonText(value: unknown): string | undefined {
  try {
    const text = JSON.stringify(value) as string | undefined;
    return text === 'null' ? undefined : text;
  } catch {
    return undefined;
  }
}

function isPage(page: unknown): page is Page<unknown, unknown> {
  return typeof page === 'object' && page !== null && 'items' in page && Array.isArray(page.items);
}
