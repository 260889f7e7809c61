import { expect, test } from '@jest/globals';
import type { Clock } from '../../../src/core/clock.js';
import { timeLimited } from '../../../src/feeds/time-limited.js';
import { deferred } from '../../support/deferred.js';
import { ManualClock } from '../../support/manual-clock.js';

test('the limit of a call that goes on after a stop does not keep the process alive from then on', async () => {
  const clock: Clock = new ManualClock();
  const told: boolean[] = [];
  const setTimer = clock.setTimer.bind(clock);
  clock.setTimer = (callback, delayMs) => ({
    ...setTimer(callback, delayMs),
    keepAlive: (keep) => told.push(keep),
  });
  const stop = new AbortController();
  const answer = deferred<string>();
  const limited = timeLimited(() => answer.promise, {
    clock,
    limitMs: 60_000,
    limitError: () => new Error('limit'),
    stop: stop.signal,
    stoppedMs: Infinity,
    stoppedError: () => new Error('stopped'),
  });
  expect(told).toEqual([]);
  stop.abort();
  expect(told).toEqual([false]);
  answer.resolve('answer');
  expect(await limited).toBe('answer');
});
