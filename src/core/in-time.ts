import type { Clock, Timer } from './clock.js';

/**
 * Waits for `work`, for `limitMs` at the most; 0: any time.
 *
 * @throws what `limitError` makes when the time is over
 */
export async function inTime<Result>(
  clock: Clock,
  limitMs: number,
  work: Promise<Result>,
  limitError: () => Error,
): Promise<Result> {
  if (limitMs === 0) return work;
  let timer: Timer;
  const timeout = new Promise<never>((_, reject) => {
    timer = clock.setTimer(() => reject(limitError()), limitMs);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    timer!.cancel();
  }
}
