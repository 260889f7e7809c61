import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { RateLimiter } from '../../../src/core/rate-limiter.js';
import { ManualClock, settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ timeoutMs: 0, maxConcurrency: 4, scalingThreshold: 1, shutdownTimeoutMs: 0 });

function startWith(options: Parameters<typeof start>[0]) {
  const process = start(options);
  const startedMs: number[] = [];
  process.register('type', { processItem: () => void startedMs.push(process.clock.now()) });
  return { process, startedMs };
}

function mostIn(windowMs: number, startedMs: readonly number[]): number {
  return Math.max(
    ...startedMs.map((from) => startedMs.filter((at) => at >= from && at < from + windowMs).length),
  );
}

describe('a rate limit', () => {
  it('lets start what it says, evenly spread, however many wait and however many workers there are', async () => {
    const { process, startedMs } = startWith({ rateLimit: { max: 100, durationMs: 1_000 } });
    await process.distributeWork('type', Array.from({ length: 2_000 }));
    await process.clock.turn(10_000);
    expect(startedMs.length).toBeGreaterThanOrEqual(990);
    expect(startedMs.length).toBeLessThanOrEqual(1_010);
    expect(mostIn(1_000, startedMs)).toBeLessThanOrEqual(110);
    expect(mostIn(100, startedMs)).toBeLessThanOrEqual(20);
  });

  it('lets one start at a time where it is low', async () => {
    const { process, startedMs } = startWith({ rateLimit: { max: 2, durationMs: 60_000 } });
    await process.distributeWork('type', [1, 2, 3]);
    await process.clock.turn(60_000);
    expect(startedMs).toEqual([0, 30_000, 60_000]);
  });

  it('saves up no more than a tenth while nothing comes', async () => {
    const { process, startedMs } = startWith({ rateLimit: { max: 20, durationMs: 1_000 } });
    await process.clock.turn(60_000);
    await process.distributeWork('type', Array.from({ length: 10 }));
    await process.clock.turn(0);
    expect(startedMs).toEqual([60_000, 60_000]);
  });

  it('counts attempts: a retry takes its turn like an item', async () => {
    const process = start({
      rateLimit: { max: 1, durationMs: 100 },
      retry: { limit: 2, backoffMs: 0, jitter: 0 },
    });
    const startedMs: number[] = [];
    process.register('type', {
      processItem: () => {
        startedMs.push(process.clock.now());
        throw new Error('always');
      },
    });
    await process.distributeWork('type', ['one']);
    await process.clock.turn(1_000);
    expect(startedMs).toEqual([0, 100, 200]);
    expect(await process.deadLetters()).toHaveLength(1);
  });

  it('waits until a batch is together, and counts each item of it', async () => {
    const process = start({ rateLimit: { max: 10, durationMs: 1_000 }, batchSize: 5 });
    const batches: [number, number][] = [];
    process.register('type', {
      processBatch: (payloads: readonly unknown[]) =>
        void batches.push([payloads.length, process.clock.now()]),
    });
    await process.distributeWork('type', Array.from({ length: 12 }));
    await process.clock.turn(2_000);
    expect(batches).toEqual([
      [5, 0],
      [5, 500],
      [2, 700],
    ]);
  });

  it('keeps no more workers than can have something to do, so that other types have the slots', async () => {
    const process = start({ scaleDownDelayMs: 0, idleTimeoutMs: 0 });
    process.register('slow', { processItem: () => undefined, rateLimit: { max: 1, durationMs: 10_000 } });
    process.register('other', { processItem: () => new Promise(() => undefined) });
    await process.distributeWork('slow', Array.from({ length: 100 }));
    await process.distributeWork('other', Array.from({ length: 100 }));
    await process.clock.turn(1_000);
    expect(process.pool.workerCount('slow')).toBe(1);
    expect(process.pool.workerCount('other')).toBe(3);
    void process.pause('slow');
  });

  it('holds while a shutdown works the queue off, and leaves no timer when it is over', async () => {
    const { process, startedMs } = startWith({
      rateLimit: { max: 1, durationMs: 400 },
      shutdownTimeoutMs: 1_000,
      onUnfinished: () => undefined,
    });
    await process.distributeWork('type', Array.from({ length: 10 }));
    const closing = process.shutdown();
    await process.clock.turn(1_000);
    await closing;
    expect(startedMs).toEqual([0, 400, 800]);
    expect(process.counts('type')).toMatchObject({ completed: 3, handedBack: 7 });
    expect(process.clock.timers).toBe(0);
  });

  it('starts nothing of a type that is paused, and goes on when it is resumed', async () => {
    const { process, startedMs } = startWith({ rateLimit: { max: 1, durationMs: 100 } });
    await process.distributeWork('type', [1, 2]);
    await settle();
    void process.pause('type');
    await process.clock.turn(1_000);
    expect(startedMs).toEqual([0]);
    void process.resume('type');
    await process.clock.turn(0);
    expect(startedMs).toEqual([0, 1_000]);
  });

  it.each<[unknown, string]>([
    [5, 'rateLimit: expected an object, got 5'],
    [{ max: 1 }, 'rateLimit.durationMs: expected a whole number of 1 or more, got undefined'],
    [{ max: 0, durationMs: 1 }, 'rateLimit.max: expected a whole number of 1 or more, got 0'],
    [{ max: 1, durationMs: 1, burst: 2 }, 'rateLimit.burst: unknown option; expected one of max, durationMs'],
  ])('is refused as %p', (rateLimit, text) => {
    expect(() => startWith({ rateLimit: rateLimit as { max: 1; durationMs: 1 } })).toThrow(text);
  });
});

describe('RateLimiter', () => {
  it('never lets more than the limit and a tenth start in its time, whatever is asked and when', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 300 }),
        fc.array(fc.record({ waitMs: fc.nat({ max: 50 }), attempts: fc.integer({ min: 1, max: 9 }) }), {
          maxLength: 100,
        }),
        async (max, steps) => {
          const clock = new ManualClock();
          const durationMs = 500;
          const limiter = new RateLimiter({ max, durationMs }, 1, clock, () => undefined);
          const startedMs: number[] = [];
          for (const { waitMs, attempts } of steps) {
            await clock.turn(waitMs);
            for (let asked = 0; asked < attempts; asked++) if (limiter.take(1)) startedMs.push(clock.now());
          }
          limiter.stop();
          const allowed = max + Math.max(1, max * 0.1);
          expect(startedMs.length === 0 || mostIn(durationMs, startedMs) <= allowed).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('waits again where a timer fires early', async () => {
    class EarlyClock extends ManualClock {
      override setTimer(callback: () => void, delayMs: number) {
        return super.setTimer(callback, Math.min(30, delayMs));
      }
    }
    const clock = new EarlyClock();
    const refilledMs: number[] = [];
    const limiter = new RateLimiter({ max: 1, durationMs: 100 }, 1, clock, () =>
      refilledMs.push(clock.now()),
    );
    expect([limiter.take(1), limiter.take(1)]).toEqual([true, false]);
    await clock.turn(200);
    expect(refilledMs).toEqual([101]);
  });
});
