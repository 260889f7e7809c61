import type { Clock } from '../../core/clock.js';
import { describe } from '../../core/describe.js';
import { BackgroundWorkerError } from '../../core/errors.js';
import type { CursorJob } from './cursor-definition.js';
import { timeLimited } from '../time-limited.js';

/** A call that a cursor job makes, of its source or of the cursor cache. */
export type CursorCall = 'fetchPage' | 'onRunCompleted' | 'load' | 'save' | 'clear';

/** What a call waited for in vain: its own time, or that of a run that was stopped. */
export type CursorCallLimit = 'callTimeoutMs' | 'stop';

/**
 * A call of a cursor job's source, or of the cursor cache, took longer than `callTimeoutMs`; or the run was stopped, and a
 * write of its checkpoint took 5 seconds more. The run fails. The reason of the signal that the call was given.
 */
export class CursorCallTimeLimitError extends BackgroundWorkerError {
  readonly code = 'CURSOR_CALL_TIME_LIMIT';

  constructor(
    readonly jobName: string,
    /** The method that did not answer. */
    readonly call: CursorCall,
    /** Milliseconds that it had. */
    readonly limitMs: number,
    limit: CursorCallLimit,
  ) {
    super(`Cursor job ${describe(jobName)}: ${call} ${limitText(limit, limitMs)}`);
  }
}

function limitText(limit: CursorCallLimit, limitMs: number): string {
  switch (limit) {
    case 'callTimeoutMs':
      return `passed its time limit, callTimeoutMs (${limitMs})`;
    case 'stop':
      return `passed the time limit of a run that was stopped (${limitMs} ms)`;
    default:
      return limit satisfies never;
  }
}

/** A call, and when it is given up. */
export interface LimitedCall {
  readonly call: CursorCall;
  /** Aborts when the run is stopped. */
  readonly stop: AbortSignal;
  /** Milliseconds that the call may take then; 0: none, `Infinity`: as many as without. */
  readonly stoppedMs: number;
}

/** Makes the calls of one cursor job: none takes longer than `callTimeoutMs`. */
export class CursorCalls {
  constructor(
    private readonly job: Pick<CursorJob, 'name' | 'callTimeoutMs'>,
    private readonly clock: Clock,
  ) {}

  /**
   * What `begin` answers; what it answers too late is ignored.
   *
   * @throws CursorCallTimeLimitError when the time is over; the reason of `stop` when that leaves none
   */
  make<T>(
    { call, stop, stoppedMs }: LimitedCall,
    begin: (signal: AbortSignal) => T | PromiseLike<T>,
  ): Promise<T> {
    const { name, callTimeoutMs } = this.job;
    return timeLimited(begin, {
      clock: this.clock,
      limitMs: callTimeoutMs,
      limitError: () => new CursorCallTimeLimitError(name, call, callTimeoutMs, 'callTimeoutMs'),
      stop,
      stoppedMs,
      stoppedError: () => new CursorCallTimeLimitError(name, call, stoppedMs, 'stop'),
    });
  }
}
