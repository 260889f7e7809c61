import { describe, expect, it } from '@jest/globals';
import { within } from '../../../src/core/within.js';
import { ManualClock } from '../../support/manual-clock.js';

describe('waiting for a while', () => {
  it.each([
    ['has ended', () => Promise.resolve()],
    ['has failed', () => Promise.reject(new Error('down'))],
  ])('leaves no timer behind when the work %s', async (_, work) => {
    const clock = new ManualClock();
    await within(clock, 1_000, work()).catch(() => undefined);
    expect(clock.timers).toBe(0);
  });

  it('passes on why the work failed, and ends without it when its time is over', async () => {
    const clock = new ManualClock();
    await expect(within(clock, 1_000, Promise.reject(new Error('down')))).rejects.toThrow('down');
    const waiting = within(clock, 1_000, new Promise(() => undefined));
    await clock.turn(1_000);
    await expect(waiting).resolves.toBeUndefined();
  });
});
