/* oxlint-disable jest/no-conditional-expect -- what is checked depends on the case */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import {
  smooth,
  thresholdScaling,
  wantedWorkers,
  type ScalingInput,
  type SmoothedScale,
} from '../../../src/core/scaling-policy.js';
import { shareSlots } from '../../../src/core/share-slots.js';

const wishes = fc.array(fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 1_000 })), { maxLength: 20 });

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

describe('shareSlots', () => {
  it('gives out all slots that are wanted, and nobody more than it wants', () => {
    fc.assert(
      fc.property(wishes, fc.nat({ max: 200 }), (wanted, slots) => {
        const shares = shareSlots(wanted, slots);
        expect(shares).toHaveLength(wanted.length);
        expect(sum(shares)).toBe(Math.min(slots, sum(wanted)));
        shares.forEach((share, index) => {
          expect(Number.isInteger(share)).toBe(true);
          expect(share).toBeGreaterThanOrEqual(0);
          expect(share).toBeLessThanOrEqual(wanted[index]!);
        });
      }),
    );
  });

  it('is max-min fair: who gets less than it wants has at most one slot less than anybody', () => {
    fc.assert(
      fc.property(wishes, fc.nat({ max: 200 }), (wanted, slots) => {
        const shares = shareSlots(wanted, slots);
        const most = Math.max(0, ...shares);
        shares.forEach((share, index) => {
          expect(share).toBeGreaterThanOrEqual(Math.min(wanted[index]!, most - 1));
        });
      }),
    );
  });

  it('gives the first of the list one slot each when more want one than there are', () => {
    expect(shareSlots([5, 0, 1, 900, 2], 3)).toEqual([1, 0, 1, 1, 0]);
    expect(shareSlots([5, 0, 1, 900, 2], 0)).toEqual([0, 0, 0, 0, 0]);
    fc.assert(
      fc.property(wishes, fc.nat({ max: 20 }), (wanted, slots) => {
        const hungry = wanted.filter((wish) => wish > 0).length;
        fc.pre(hungry >= slots);
        let left = slots;
        expect(shareSlots(wanted, slots)).toEqual(wanted.map((wish) => (wish > 0 && left-- > 0 ? 1 : 0)));
      }),
    );
  });

  it('lets nobody starve beside one that wants a million', () => {
    expect(shareSlots([1_000_000, 3, 1], 10)).toEqual([6, 3, 1]);
  });
});

describe('wantedWorkers', () => {
  const input: ScalingInput = {
    type: 'type',
    queueSize: 55,
    scalingThreshold: 10,
    maxConcurrency: 8,
    current: 1,
  };

  it('is one below the threshold, one for each threshold above, and never beyond the limit', () => {
    const sizes = [1, 9, 10, 19, 20, 79, 80, 81, 1_000_000];
    const workers = sizes.map((queueSize) => wantedWorkers(thresholdScaling({ ...input, queueSize }), 8));
    expect(workers).toEqual([1, 1, 1, 1, 2, 7, 8, 8, 8]);
  });

  it.each([
    [Infinity, 8],
    [-Infinity, 1],
    [-3, 1],
    [0, 1],
    [2.9, 2],
    [9, 8],
  ])('makes of the answer %p a number of workers that can be given', (answer, workers) => {
    expect(wantedWorkers(answer, 8)).toBe(workers);
  });
});

describe('smooth', () => {
  const fresh: SmoothedScale = { workers: 0, fewerSinceMs: undefined, peak: 0 };

  function workersOver(delayMs: number, wanted: readonly [atMs: number, wanted: number][]): number[] {
    let scale = fresh;
    return wanted.map(([atMs, workers]) => {
      scale = smooth(scale, workers, atMs, delayMs);
      return scale.workers;
    });
  }

  it('gives more at once, and takes away only what nobody wanted for the whole delay', () => {
    const given = workersOver(1_000, [
      [0, 8],
      [100, 2],
      [500, 5],
      [1_099, 1],
      [1_100, 1],
      [2_099, 1],
      [2_100, 1],
      [2_200, 9],
    ]);
    expect(given).toEqual([8, 8, 8, 8, 5, 5, 1, 9]);
  });

  it('starts the delay anew when as many were wanted in between', () => {
    const given = workersOver(1_000, [
      [0, 8],
      [100, 2],
      [900, 8],
      [1_000, 2],
      [1_999, 2],
      [2_000, 2],
    ]);
    expect(given).toEqual([8, 8, 8, 8, 8, 2]);
  });

  it('takes away at once without a delay', () => {
    const given = workersOver(0, [
      [0, 8],
      [0, 3],
      [1, 1],
    ]);
    expect(given).toEqual([8, 3, 1]);
  });

  it('never gives fewer than are wanted now, nor more than were wanted within the delay before', () => {
    const history = fc.array(fc.tuple(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 20 })), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(history, fc.nat({ max: 1_500 }), (moments, delayMs) => {
        let scale = fresh;
        let nowMs = 0;
        const wantedAt: [number, number][] = [];
        for (const [stepMs, wanted] of moments) {
          nowMs += stepMs;
          const before = scale.workers;
          scale = smooth(scale, wanted, nowMs, delayMs);
          wantedAt.push([nowMs, wanted]);
          expect(scale.workers).toBeGreaterThanOrEqual(wanted);
          if (scale.workers < before) {
            const recent = wantedAt.filter(([atMs]) => atMs >= nowMs - delayMs).map(([, count]) => count);
            expect(scale.workers).toBeGreaterThanOrEqual(Math.max(...recent));
          }
          expect(scale.workers).toBeLessThanOrEqual(Math.max(before, wanted));
        }
      }),
    );
  });
});
