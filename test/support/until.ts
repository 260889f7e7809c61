import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 10;

/** Asks again and again until the answer is good enough, and gives the last answer when the time is up. */
export async function until<T>(
  ask: () => Promise<T>,
  isDone: (answer: T) => boolean,
  limitMs: number,
): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (isDone(answer) || Date.now() > deadline) return answer;
    await delay(POLL_MS);
  }
}
