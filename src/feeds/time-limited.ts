import type { Clock, Timer } from '../core/clock.js';
import { untilAborted } from './until-aborted.js';

/** What ends a call before it has answered. */
export interface CallLimits {
  readonly clock: Clock;
  /** Milliseconds that the call may take; 0: any time. */
  readonly limitMs: number;
  /** The error when it takes longer. */
  readonly limitError: () => Error;
  /** Aborts when the answer is not wanted any more, or not for long. */
  readonly stop: AbortSignal;
  /**
   * Milliseconds that the call may take once `stop` has aborted. 0: none, it is not even begun; `Infinity`: as many as
   * without.
   */
  readonly stoppedMs: number;
  /** The error when it takes longer than these. */
  readonly stoppedError: () => Error;
}

/**
 * What `call` answers within its limits. When one passes, the signal that `call` was given aborts, and this rejects with
 * the reason: the error of the limit, or at once that of `stop`. What becomes of the call later is ignored.
 */
export async function timeLimited<T>(
  call: (signal: AbortSignal) => T | PromiseLike<T>,
  { clock, limitMs, limitError, stop, stoppedMs, stoppedError }: CallLimits,
): Promise<T> {
  if (stoppedMs === 0) stop.throwIfAborted();
  const own = new AbortController();
  const timers: Timer[] = [];
  const endIn = (ms: number, error: () => Error) => timers.push(clock.setTimer(() => own.abort(error()), ms));
  const stopped = () => {
    if (stoppedMs === 0) own.abort(stop.reason);
    else if (stoppedMs < Infinity) endIn(stoppedMs, stoppedError);
    // Who stopped it decides how long the process waits.
    else for (const timer of timers) timer.keepAlive(false);
  };
  if (limitMs > 0) endIn(limitMs, limitError);
  if (stop.aborted) stopped();
  else stop.addEventListener('abort', stopped, { once: true });
  try {
    return await untilAborted(call(own.signal), own.signal);
  } finally {
    for (const timer of timers) timer.cancel();
    stop.removeEventListener('abort', stopped);
  }
}
