import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { SubmitOptions } from '../../../src/core/submit-options.js';
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

function startWithBatches(options: Parameters<typeof start>[0]) {
  const process = start(options);
  const batches: [size: number, atMs: number][] = [];
  process.register('type', {
    processBatch: (items: readonly unknown[]) => void batches.push([items.length, process.clock.now()]),
  });
  return { process, batches };
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
    const { process, batches } = startWithBatches({
      rateLimit: { max: 50, durationMs: 1_000 },
      batchSize: 5,
    });
    await process.distributeWork('type', Array.from({ length: 12 }));
    await process.clock.turn(2_000);
    expect(batches).toEqual([
      [5, 0],
      [5, 100],
      [2, 140],
    ]);
  });

  it.each([
    [100, [10, 10, 5]],
    [25, [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1]],
    [1, Array.from({ length: 25 }, () => 1)],
  ])('of %i makes batches no larger than what may start at once', async (max, sizes) => {
    const { process, batches } = startWithBatches({ rateLimit: { max, durationMs: 1_000 }, batchSize: 100 });
    await process.distributeWork('type', Array.from({ length: 25 }));
    await process.clock.turn(30_000);
    expect(batches.map(([size]) => size)).toEqual(sizes);
  });

  it('lets no more than a tenth too many start in its time, in batches as well, whatever rest was before', async () => {
    const { process, batches } = startWithBatches({ rateLimit: { max: 100, durationMs: 60_000 } });
    await process.clock.turn(60_000);
    await process.distributeWork('type', Array.from({ length: 100 }));
    for (let item = 0; item < 100; item++) {
      await process.clock.turn(600);
      process.offer('type', item);
    }
    await process.clock.turn(120_000);
    const startedMs = batches.flatMap(([size, atMs]) => Array.from({ length: size }, () => atMs));
    expect(startedMs).toHaveLength(200);
    expect(mostIn(60_000, startedMs)).toBeLessThanOrEqual(110);
  });

  it('wants more workers for the batches that may start, not for those that may not', async () => {
    const process = start({ rateLimit: { max: 20, durationMs: 1_000 }, scaleDownDelayMs: 0 });
    let running = 0;
    process.register('type', {
      processBatch: (items: readonly unknown[]) => {
        running += items.length;
        return new Promise(() => undefined);
      },
    });
    await process.distributeWork('type', Array.from({ length: 100 }));
    await process.clock.turn(500);
    expect(running).toBe(8);
    expect(process.pool.workerCount('type')).toBe(4);
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

  it.each<[string, number[], SubmitOptions]>([
    ['waits', [1, 2], {}],
    ['is due before its turn comes', [1], { delayMs: 10_000 }],
  ])(
    'is not waited for at a shutdown that it outlasts: an item that %s is handed back',
    async (_, items, later) => {
      const handedBack: unknown[] = [];
      const { process, startedMs } = startWith({
        rateLimit: { max: 1, durationMs: 3_600_000 },
        shutdownTimeoutMs: 20_000,
        onUnfinished: (left) => void handedBack.push(...left.map(({ payload }) => payload)),
      });
      await process.distributeWork('type', items);
      await process.distributeWork('type', [3], later);
      await process.clock.turn(10);
      const closing = process.shutdown();
      await process.clock.turn(0);
      await closing;
      expect(startedMs).toEqual([0]);
      expect(handedBack).toEqual([...items.slice(1), 3]);
    },
  );

  it('is waited for at a shutdown as long as it lets another item start before the deadline', async () => {
    const { process, startedMs } = startWith({
      rateLimit: { max: 1, durationMs: 15_000 },
      shutdownTimeoutMs: 20_000,
      onUnfinished: () => undefined,
    });
    await process.distributeWork('type', [1]);
    await process.clock.turn(10);
    await process.distributeWork('type', [2, 3]);
    let endedMs = 0;
    const closing = process.shutdown().then(() => (endedMs = process.clock.now()));
    await process.clock.turn(20_000);
    await closing;
    expect(startedMs).toEqual([0, 15_000]);
    expect(endedMs).toBe(15_000);
  });

  it('leaves no timer when all that waited for it is cancelled, and holds for what comes then', async () => {
    const { process, startedMs } = startWith({
      rateLimit: { max: 1, durationMs: 100_000 },
      idleTimeoutMs: 0,
    });
    const job = await process.distributeWork('type', [1, 2]);
    await settle();
    void job.cancel();
    await process.clock.turn(60_000);
    expect(process.clock.timers).toBe(0);
    await process.distributeWork('type', [3]);
    await process.clock.turn(100_000);
    expect(startedMs).toEqual([0, 100_000]);
  });

  it('keeps waiting when some of what waits is cancelled', async () => {
    const { process, startedMs } = startWith({ rateLimit: { max: 1, durationMs: 50 } });
    const job = await process.distributeWork('type', [1, 2]);
    await process.distributeWork('type', [3]);
    await settle();
    void job.cancel();
    await process.clock.turn(1_000);
    expect(startedMs).toEqual([0, 50]);
  });

  it('lets an item start at its time that comes when the tokens are used up and nothing else waits', async () => {
    const { process, startedMs } = startWith({ rateLimit: { max: 1, durationMs: 130 } });
    await process.distributeWork('type', [1]);
    await process.clock.turn(10);
    await process.distributeWork('type', [2]);
    await process.clock.turn(1_000);
    expect(startedMs).toEqual([0, 130]);
  });

  it('of all types is one for each of them, and none for a type that says so', async () => {
    const process = start({ rateLimit: { max: 1, durationMs: 60_000 } });
    const started: string[] = [];
    const limits = { a: undefined, b: undefined, free: false } as const;
    for (const [type, rateLimit] of Object.entries(limits)) {
      process.register(type, { processItem: () => void started.push(type), rateLimit });
      await process.distributeWork(type, [1, 2]);
    }
    await process.clock.turn(0);
    expect(started.toSorted()).toEqual(['a', 'b', 'free', 'free']);
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
    [true, 'rateLimit: expected an object, got true'],
    [null, 'rateLimit: expected an object, got null'],
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
          const limiter = new RateLimiter({ max, durationMs }, clock, () => undefined);
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

  it('tells when the next attempt may start, or the batch that waits for its tokens', async () => {
    const clock = new ManualClock();
    const limiter = new RateLimiter({ max: 50, durationMs: 1_000 }, clock, () => undefined);
    expect(limiter.nextMs).toBe(0);
    expect(limiter.take(5)).toBe(true);
    expect(limiter.nextMs).toBe(20);
    expect(limiter.take(3)).toBe(false);
    expect(limiter.nextMs).toBe(60);
    limiter.rest();
    expect(limiter.nextMs).toBe(20);
    await clock.turn(100);
    expect(limiter.nextMs).toBeLessThanOrEqual(100);
    expect(limiter.take(5)).toBe(true);
  });

  it('waits again where a timer fires early', async () => {
    class EarlyClock extends ManualClock {
      override setTimer(callback: () => void, delayMs: number) {
        return super.setTimer(callback, Math.min(30, delayMs));
      }
    }
    const clock = new EarlyClock();
    const refilledMs: number[] = [];
    const limiter = new RateLimiter({ max: 1, durationMs: 100 }, clock, () => refilledMs.push(clock.now()));
    expect([limiter.take(1), limiter.take(1)]).toEqual([true, false]);
    await clock.turn(200);
    expect(refilledMs).toEqual([101]);
  });
});
