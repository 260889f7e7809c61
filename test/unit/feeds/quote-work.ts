import { afterEach, beforeEach } from '@jest/globals';
import {
  JobProcess,
  MemoryCursorCache,
  type CursorCache,
  type CursorJobDefinition,
  type CursorRunResult,
  type CursorSource,
  type JobProcessSetup,
  type Page,
} from '../../../src/index.js';
import type { Deferred } from '../../support/deferred.js';

/** The name of the cursor job. */
export const NAME = 'daily quotes/€ "x"';

/** A job process with a worker for quotes, and a cursor job that feeds it. */
export class QuoteWork {
  jobs: JobProcess;
  /** What the worker has been given, in order. */
  worked: unknown[] = [];
  /** The jobs of the items that have been given to the worker. */
  readonly jobIds = new Map<unknown, string>();
  /** Holds the worker while it is set. */
  held: Deferred | undefined = undefined;
  /** Hold the worker at single items. */
  readonly gates = new Map<unknown, Deferred>();
  /** Items that the worker fails at. */
  failing: ReadonlySet<unknown> = new Set();

  constructor(readonly cache: CursorCache = new MemoryCursorCache()) {
    this.jobs = this.start({ cursorCache: cache });
  }

  /** Goes on with another process. */
  async restart(setup: JobProcessSetup): Promise<void> {
    await this.jobs.shutdown();
    this.jobs = this.start(setup);
  }

  async end(): Promise<void> {
    this.held?.resolve();
    for (const { resolve } of this.gates.values()) resolve();
    await this.jobs.shutdown();
  }

  register(
    source: CursorSource,
    settings: Pick<CursorJobDefinition, 'pageSize' | 'callTimeoutMs'> = {},
  ): void {
    this.jobs.registerCursorJob({ name: NAME, type: 'quotes', pageSize: 2, source, ...settings });
  }

  run(): Promise<CursorRunResult> {
    return this.jobs.processCursorData(NAME).completed;
  }

  private start(setup: JobProcessSetup): JobProcess {
    const jobs = new JobProcess({
      ...setup,
      process: { maxConcurrency: 1, retry: { limit: 0 }, shutdownTimeoutMs: 5_000, ...setup.process },
    });
    jobs.register('quotes', {
      processItem: async (item: unknown, { jobId }) => {
        this.worked.push(item);
        this.jobIds.set(item, jobId);
        await this.held?.promise;
        await this.gates.get(item)?.promise;
        if (this.failing.has(item)) throw new Error(`no ${String(item)}`);
      },
    });
    return jobs;
  }
}

/** That of the running test. */
export let work: QuoteWork;
beforeEach(() => void (work = new QuoteWork()));
afterEach(() => work.end());

/** Numbers from 1 to `last`, of which the cursor is the last one that was read. */
export class Numbers implements CursorSource<number, number> {
  readonly fetched: (number | undefined)[] = [];
  readonly ended: CursorRunResult[] = [];
  /** Of the last call. */
  signal: AbortSignal | undefined;
  /** The cursor to which there is no answer. */
  silentAfter: number | undefined = undefined;
  /** The cursor at which the source fails. */
  downAfter: number | undefined = undefined;

  constructor(public last: number) {}

  fetchPage(cursor: number | undefined, limit: number, signal: AbortSignal): Promise<Page<number, number>> {
    this.fetched.push(cursor);
    this.signal = signal;
    if (cursor !== undefined && cursor === this.silentAfter) return never();
    if (cursor !== undefined && cursor === this.downAfter) throw new Error('source is down');
    const first = (cursor ?? 0) + 1;
    const next = Math.min(this.last, first + limit - 1);
    const items = Array.from({ length: next - first + 1 }, (_, place) => first + place);
    return Promise.resolve({ items, next: next < this.last ? next : undefined });
  }

  onRunCompleted(result: CursorRunResult): void | Promise<void> {
    this.ended.push(result);
  }
}

/** Never answers. */
export function never(): Promise<never> {
  return new Promise(() => undefined);
}

/** A source that never answers. */
export const silent: CursorSource = { fetchPage: never };

/** A source of these pages, whatever the cursor. */
export function pages(...list: unknown[]): CursorSource {
  const left = [...list];
  return { fetchPage: () => Promise.resolve(left.shift() as Page<unknown, unknown>) };
}
