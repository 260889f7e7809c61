import type { Clock } from '../../core/clock.js';
import { UploadCallTimeLimitError } from './upload-errors.js';
import { timeLimited } from '../time-limited.js';
import type { RowOutcome, Upload, UploadRow, UploadStore } from './upload-store.js';

/** What the work on uploads needs of their store. */
export type StoreToWorkFrom = Omit<UploadStore, 'receive'>;

/** When calls are given up. */
export interface StoreCallLimits {
  readonly clock: Clock;
  /** Milliseconds that a call may take; 0: any time. */
  readonly callTimeoutMs: number;
  /** Aborts when the process shuts down: then it is the shutdown that says how long it waits. */
  readonly closing: AbortSignal;
}

/**
 * An upload store none of whose calls takes longer than `callTimeoutMs`. What one answers too late is ignored; what it
 * writes too late is what the next run would write again, and disturbs nothing.
 */
export class UploadStoreCalls implements StoreToWorkFrom {
  constructor(
    private readonly store: StoreToWorkFrom,
    private readonly limits: StoreCallLimits,
  ) {}

  find(id: string): Promise<Upload | undefined> {
    return this.make(id, 'find', () => this.store.find(id));
  }

  /** @param stop aborts when the page is not wanted any more: then this rejects at once, with its reason */
  readPage(id: string, after: number, limit: number, stop?: AbortSignal): Promise<readonly UploadRow[]> {
    const end = stop && { stop, stoppedMs: 0 };
    return this.make(id, 'readPage', () => this.store.readPage(id, after, limit), end);
  }

  recordOutcomes(id: string, outcomes: readonly RowOutcome[]): Promise<void> {
    return this.make(id, 'recordOutcomes', () => this.store.recordOutcomes(id, outcomes));
  }

  start(id: string): Promise<void> {
    return this.make(id, 'start', () => this.store.start(id));
  }

  finish(id: string): Promise<Upload> {
    return this.make(id, 'finish', () => this.store.finish(id));
  }

  /** @throws UploadCallTimeLimitError when the time is over; what `begin` throws */
  private make<T>(
    id: string,
    call: keyof StoreToWorkFrom,
    begin: () => Promise<T>,
    end = { stop: this.limits.closing, stoppedMs: Infinity },
  ): Promise<T> {
    const { clock, callTimeoutMs } = this.limits;
    const limitError = () => new UploadCallTimeLimitError(id, call, callTimeoutMs);
    return timeLimited(begin, {
      clock,
      limitMs: callTimeoutMs,
      limitError,
      ...end,
      stoppedError: limitError,
    });
  }
}
