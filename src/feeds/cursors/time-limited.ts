import type { Clock } from '../../core/clock.js';
import { untilAborted } from '../until-aborted.js';

/** What ends a call before it has answered. */
export interface CallLimits {
  readonly clock: Clock;
  /** Milliseconds that the call may take; 0: any time. */
  readonly limitMs: number;
  /** The error when it takes longer. */
  readonly limitError: () => Error;
  /** Ends the call when it aborts. */
  readonly stop: AbortSignal;
}

/**
 * What `call` answers within the time limit. When the limit passes or `stop` aborts, the signal that `call` was given
 * aborts, and this rejects with the reason; what becomes of the call later is ignored.
 */
export async function timeLimited<T>(
  call: (signal: AbortSignal) => T | PromiseLike<T>,
  { clock, limitMs, limitError, stop }: CallLimits,
): Promise<T> {
  stop.throwIfAborted();
  const own = new AbortController();
  const abort = () => own.abort(stop.reason);
  stop.addEventListener('abort', abort, { once: true });
  const timer = limitMs > 0 ? clock.setTimer(() => own.abort(limitError()), limitMs) : undefined;
  try {
    return await untilAborted(call(own.signal), own.signal);
  } finally {
    timer?.cancel();
    stop.removeEventListener('abort', abort);
  }
}
