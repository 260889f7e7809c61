import type { Clock } from './clock.js';

/** Resolves when `work` has, or after `timeoutMs`, whichever comes first. 0 or less: at once. @throws what `work` rejects with */
export async function within(clock: Clock, timeoutMs: number, work: Promise<unknown>): Promise<void> {
  if (timeoutMs <= 0) return;
  let timer;
  const timeout = new Promise<void>((resolve) => (timer = clock.setTimer(resolve, timeoutMs)));
  try {
    await Promise.race([work, timeout]);
  } finally {
    timer!.cancel();
  }
}
