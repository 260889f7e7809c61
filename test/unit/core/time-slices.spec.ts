import { describe, expect, it } from '@jest/globals';
import { TimeSlices } from '../../../src/core/time-slices.js';
import { ManualClock } from '../../support/manual-clock.js';

/** A clock and an event loop that go on when they are told to. */
class HeldClock extends ManualClock {
  readonly waiting: (() => void)[] = [];
  atMs = 0;

  override now(): number {
    return this.atMs;
  }

  override afterInput(callback: () => void): void {
    this.waiting.push(callback);
  }

  comeRound(): void {
    for (const callback of this.waiting.splice(0)) callback();
  }
}

function start() {
  const clock = new HeldClock();
  const slices = new TimeSlices(clock);
  return { clock, slices };
}

describe('a time slice', () => {
  it('is over after 5 ms, and all loops pause until the event loop has come round', async () => {
    const { clock, slices } = start();
    clock.atMs = 4;
    expect(slices.spend(1)).toBe(false);
    clock.atMs = 5;
    expect([slices.spend(1), slices.spend(1)]).toEqual([true, true]);
    const paused = slices.pause();
    clock.comeRound();
    await paused;
    expect(slices.spend(1)).toBe(false);
    expect(slices.current).toBe(1);
  });

  it('begins anew where a loop waited for items, so that the next of them is not followed by a pause', () => {
    const { clock, slices } = start();
    clock.atMs = 4;
    slices.idle(clock.atMs);
    clock.comeRound();
    clock.atMs = 8;
    expect(slices.spend(1)).toBe(false);
    clock.atMs = 9;
    expect(slices.spend(1)).toBe(true);
  });

  it('goes on where a loop waits for items that come before the event loop has come round', () => {
    const { clock, slices } = start();
    for (clock.atMs = 1; clock.atMs < 5; clock.atMs++) {
      slices.idle(clock.atMs);
      expect(slices.spend(1)).toBe(false);
    }
    expect(slices.spend(1)).toBe(true);
    // Asked for once, and once for the pause.
    expect(clock.waiting).toHaveLength(2);
  });

  it('does not end a pause early, nor begin a second time after it', async () => {
    const { clock, slices } = start();
    clock.atMs = 4;
    slices.idle(clock.atMs);
    clock.atMs = 5;
    expect(slices.spend(1)).toBe(true);
    const [renew, endPause] = clock.waiting.splice(0);
    renew!();
    expect([slices.spend(1), slices.current]).toEqual([true, 0]);
    endPause!();
    expect([slices.spend(1), slices.current]).toEqual([false, 1]);
  });

  it('asks for no turn of the event loop at each wait', () => {
    const { clock, slices } = start();
    clock.atMs = 2;
    slices.idle(clock.atMs);
    expect(clock.waiting).toEqual([]);
  });
});
