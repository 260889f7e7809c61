/* oxlint-disable jest/no-standalone-expect, unicorn/no-thenable -- thenables are what is tested */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import nodeProcess from 'node:process';
import type { BatchContext } from '../../../src/core/batch-context.js';
import { TimeLimitError } from '../../../src/core/errors.js';
import type { ItemContext } from '../../../src/core/item-context.js';
import { Worker } from '../../../src/core/worker.js';
import { deferred, type Deferred } from '../../support/deferred.js';
import { ManualClock, settle } from '../../support/manual-clock.js';
import { ManualProcess } from '../../support/manual-process.js';

const unhandled: unknown[] = [];
const remember = (reason: unknown) => void unhandled.push(reason);

beforeEach(() => {
  unhandled.length = 0;
  nodeProcess.on('unhandledRejection', remember);
});

afterEach(async () => {
  await settle();
  nodeProcess.off('unhandledRejection', remember);
  expect(unhandled).toEqual([]);
});

const never = (): Promise<never> => new Promise(() => undefined);

describe('an attempt that passes its time limit', () => {
  it('counts as failed, its signal aborts with the reason, and its worker is replaced at once', async () => {
    const process = new ManualProcess({ timeoutMs: 80, maxConcurrency: 1, retry: { limit: 0 } });
    const gate = deferred();
    const signals: AbortSignal[] = [];
    const handled: string[] = [];
    process.register('type', {
      processItem: (payload: string, context: ItemContext) => {
        handled.push(payload);
        if (payload !== 'slow') return undefined;
        signals.push(context.signal);
        return gate.promise;
      },
    });
    const retired = process.heard('workerRetired');
    const job = await process.distributeWork('type', ['slow', 'next']);
    await process.clock.turn(79);
    expect(signals[0]!.aborted).toBe(false);
    expect(process.counts()).toMatchObject({ running: 1, dead: 0 });
    await process.clock.turn(11);
    expect(signals[0]!.reason).toEqual(new TimeLimitError('type', 80));
    expect(handled).toEqual(['slow', 'next']);
    expect(await job.completed).toMatchObject({ done: 1, failed: 1 });
    expect(await process.deadLetters()).toMatchObject([{ payload: 'slow', error: { code: 'TIME_LIMIT' } }]);
    expect(retired).toEqual([{ type: 'type', itemIds: [`${job.id}:0`], timeoutMs: 80, abandoned: 1 }]);
    expect(process.reportPerformance().types[0]).toMatchObject({ abandoned: 1, failedAttempts: 1 });
    gate.resolve();
    await settle();
    expect(process.reportPerformance().types[0]).toMatchObject({ abandoned: 0, completed: 1, dead: 1 });
    await process.end();
  });

  it.each(['item', 'batch'] as const)('is told of and averaged like any other, with an %s', async (mode) => {
    const process = new ManualProcess({ timeoutMs: 80, maxConcurrency: 1, retry: { limit: 0 } });
    process.register(
      'type',
      mode === 'item' ? { processItem: never } : { processBatch: never, batchSize: 3 },
    );
    const attempts = process.heard('attempt');
    await process.distributeWork('type', mode === 'item' ? ['slow'] : ['slow', 'too']);
    await process.clock.turn(90);
    expect(attempts).toEqual([
      { type: 'type', count: mode === 'item' ? 1 : 2, durationMs: expect.any(Number), outcome: 'failed' },
    ]);
    expect(attempts[0]!.durationMs).toBeGreaterThanOrEqual(80);
    expect(process.reportPerformance().types[0]!.meanAttemptMs).toBe(attempts[0]!.durationMs);
    await process.end();
  });

  it('is watched as well when its worker was idle before', async () => {
    const process = new ManualProcess({ timeoutMs: 80, maxConcurrency: 1, retry: { limit: 0 } });
    const gate = deferred();
    process.register('type', {
      processItem: (payload: string) => (payload === 'slow' ? gate.promise : undefined),
    });
    await process.distributeWork('type', 'quick');
    await process.clock.turn(1_000);
    expect(process.reportPerformance().types[0]).toMatchObject({ workers: 1, busyWorkers: 0 });
    const job = await process.distributeWork('type', 'slow', { track: true });
    await process.clock.turn(110);
    expect(await job.completed).toMatchObject({ failed: 1 });
    expect(await process.deadLetters()).toMatchObject([{ error: { code: 'TIME_LIMIT' } }]);
    gate.resolve();
    await process.end();
  });

  const lateEnds: [string, (gate: Deferred, late: Late) => unknown][] = [
    ['resolves', (gate) => gate.promise],
    ['rejects', (gate) => gate.promise.then(() => Promise.reject(new Error('late')))],
    [
      'settles both ways again and again',
      (_, late) => ({ then: (yes: Settle, no: Settle) => late.push(yes, no, no, yes) }),
    ],
    [
      'settles after throwing',
      (_, late) => ({
        then: (yes: Settle, no: Settle) => {
          late.push(yes, no);
          return gateNever;
        },
      }),
    ],
  ];
  type Settle = (value?: unknown) => void;
  type Late = Settle[];
  const gateNever = new Promise(() => undefined);

  it.each(lateEnds)('is over: a handler that %s later changes nothing', async (_, handler) => {
    const process = new ManualProcess({
      timeoutMs: 80,
      maxConcurrency: 2,
      retry: { limit: 1, backoffMs: 10 },
    });
    const gate = deferred();
    const late: Late = [];
    const progress = process.heard('progress');
    process.register('type', {
      processItem: async (__: string, context: ItemContext) => {
        try {
          if (context.attempt === 1) await handler(gate, late);
        } finally {
          if (context.attempt === 1) context.reportProgress('late');
        }
      },
    });
    const job = await process.distributeWork('type', 'item', { track: true });
    await process.clock.turn(500);
    expect(await job.completed).toMatchObject({ done: 1, failed: 0 });
    const before = process.counts();
    gate.resolve();
    for (const act of late) act(new Error('late'));
    for (const act of late) act(new Error('later'));
    await settle();
    expect(process.counts()).toEqual(before);
    expect(process.pool.workerCount()).toBe(1);
    expect(process.reportPerformance().types[0]!.abandoned).toBe(0);
    expect(progress).toEqual([]);
    await process.end();
  });

  it('is a custom thenable that settles twice before its limit: only the first counts', async () => {
    const process = new ManualProcess({ maxConcurrency: 1, retry: { limit: 0 } });
    process.register('type', {
      processItem: (well: boolean) => ({
        then: (yes: () => void, no: (error: Error) => void) => {
          if (well) yes();
          no(new Error('no'));
          yes();
          yes();
        },
      }),
    });
    const job = await process.distributeWork('type', [true, false, true]);
    await settle();
    expect(await job.completed).toMatchObject({ done: 2, failed: 1 });
    await process.end();
  });

  it('is ended never early and at most an eighth late, whenever it began', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 7_000, max: 20_000 })),
        fc.array(fc.nat({ max: 3_000 }), { minLength: 1, maxLength: 4 }),
        async (timeoutMs, pausesMs) => {
          const process = new ManualProcess({
            timeoutMs,
            maxConcurrency: 10,
            maxAbandoned: 100,
            retry: { limit: 0 },
          });
          const spans: number[] = [];
          process.register('type', {
            processItem: async (_: unknown, { signal }: ItemContext) => {
              const startedMs = process.clock.now();
              await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
              spans.push(process.clock.now() - startedMs);
            },
          });
          for (const pauseMs of pausesMs) {
            await process.clock.turn(pauseMs % timeoutMs);
            process.offer('type', 0);
          }
          await process.clock.turn(1.3 * timeoutMs * pausesMs.length + 20);
          expect(spans).toHaveLength(pausesMs.length);
          for (const spanMs of spans) {
            expect(spanMs).toBeGreaterThanOrEqual(timeoutMs);
            // Looks are whole milliseconds apart, which a short limit feels.
            expect(spanMs).toBeLessThanOrEqual(timeoutMs * 1.125 + 20);
          }
          await process.end();
        },
      ),
      { numRuns: 25 },
    );
  });

  it('is found even when it began while no worker held anything', async () => {
    /** Keeps workers waiting between two items until the test lets them go on. */
    class StallingClock extends ManualClock {
      readonly stalled: (() => void)[] = [];
      override afterInput(callback: () => void): void {
        this.stalled.push(callback);
      }
    }
    const clock = new StallingClock();
    const process = new ManualProcess({ clock, timeoutMs: 80, maxConcurrency: 1, retry: { limit: 0 } });
    const gate = deferred();
    process.register('type', {
      processItem: (payload: string) => (payload === 'hangs' ? new Promise(() => undefined) : gate.promise),
    });
    await process.distributeWork('type', ['first', 'hangs']);
    await clock.turn(45);
    gate.resolve();
    await clock.turn(30);
    // The slice of time is used up: the worker stands between its items, while the watch looks at it.
    expect(clock.stalled).toHaveLength(1);
    expect(process.counts()).toMatchObject({ running: 0, waiting: 1 });
    for (const goOn of clock.stalled.splice(0)) goOn();
    await clock.turn(100);
    for (const goOn of clock.stalled.splice(0)) goOn();
    expect(await process.deadLetters()).toMatchObject([{ payload: 'hangs', error: { code: 'TIME_LIMIT' } }]);
    await process.end();
  });

  it('is not charged for time in which the event loop was blocked', async () => {
    /** Jumps over a stretch of time as a blocked loop does: its timers fire late, all at once. */
    class BlockedClock extends ManualClock {
      private skippedMs = 0;
      override now(): number {
        return super.now() + this.skippedMs;
      }
      block(ms: number): void {
        this.skippedMs += ms;
      }
    }
    const clock = new BlockedClock();
    const process = new ManualProcess({ clock, timeoutMs: 80, maxConcurrency: 1, retry: { limit: 0 } });
    const gate = deferred();
    process.register('type', { processItem: () => gate.promise });
    const job = await process.distributeWork('type', 'item', { track: true });
    await clock.turn(20);
    clock.block(10_000);
    await clock.turn(20);
    expect(process.counts()).toMatchObject({ running: 1, dead: 0 });
    gate.resolve();
    expect(await job.completed).toMatchObject({ done: 1 });
    await process.end();
  });

  it('takes a whole batch with it, but for the items that failed alone', async () => {
    const process = new ManualProcess({ timeoutMs: 80, maxConcurrency: 1, retry: { limit: 0 } });
    let kept: BatchContext | undefined;
    const gate = deferred();
    process.register('type', {
      processBatch: async (_: readonly string[], context: BatchContext) => {
        kept = context;
        context.fail(1, new Error('alone'));
        await gate.promise;
        context.fail(0, new Error('late'));
        context.reportProgress(0, 'late');
      },
    });
    const retired = process.heard('workerRetired');
    const progress = process.heard('progress');
    const job = await process.distributeWork('type', ['a', 'b', 'c']);
    await process.clock.turn(100);
    expect(kept!.signal.reason).toBeInstanceOf(TimeLimitError);
    expect((await process.deadLetters()).map(({ error }) => error.name)).toEqual([
      'TimeLimitError',
      'Error',
      'TimeLimitError',
    ]);
    expect(retired[0]!.itemIds).toEqual([0, 1, 2].map((index) => `${job.id}:${index}`));
    gate.resolve();
    await settle();
    expect(process.counts()).toMatchObject({ dead: 3, completed: 0, failedAttempts: 3 });
    expect(progress).toEqual([]);
    await process.end();
  });

  it('is none without a limit', async () => {
    const process = new ManualProcess({ timeoutMs: 0 });
    const gate = deferred();
    process.register('type', { processItem: () => gate.promise });
    const job = await process.distributeWork('type', ['item']);
    await process.clock.turn(200_000);
    expect(process.counts().running).toBe(1);
    gate.resolve();
    expect(await job.completed).toMatchObject({ done: 1 });
    await process.end();
  });

  it('retires the instance with it: another one works on, and the old one stops when its handler returns', async () => {
    const process = new ManualProcess({ timeoutMs: 80, maxConcurrency: 1, retry: { limit: 0 } });
    const gate = deferred();
    const log: string[] = [];
    let made = 0;
    class Numbered extends Worker<string> {
      private readonly number = ++made;
      override onStart(): void {
        log.push(`${this.number} starts`);
      }
      override onStop(): void {
        log.push(`${this.number} stops`);
      }
      override processItem(payload: string): unknown {
        log.push(`${this.number} ${payload}`);
        return payload === 'hangs' ? gate.promise : undefined;
      }
    }
    process.register('type', { worker: Numbered });
    await process.distributeWork('type', ['hangs', 'next']);
    await process.clock.turn(100);
    expect(log).toEqual(['1 starts', '1 hangs', '2 starts', '2 next']);
    gate.resolve();
    await settle();
    expect(log.at(-1)).toBe('1 stops');
    await process.end();
    expect(log.at(-1)).toBe('2 stops');
    expect(log).toHaveLength(6);
  });
});

describe('handlers that run on after their time limit', () => {
  it('pause their type beyond maxAbandoned, until some have returned', async () => {
    const process = new ManualProcess({
      timeoutMs: 80,
      maxConcurrency: 2,
      maxAbandoned: 1,
      retry: { limit: 0 },
    });
    const gates: Deferred[] = [];
    process.register('type', {
      processItem: (hangs: boolean) => {
        if (!hangs) return undefined;
        const gate = deferred();
        gates.push(gate);
        return gate.promise;
      },
    });
    const paused = process.heard('paused');
    const resumed = process.heard('resumed');
    await process.distributeWork('type', [true, true, true, false]);
    await process.clock.turn(1_000);
    expect(gates).toHaveLength(2);
    expect(paused).toEqual([{ type: 'type', reason: 'too-many-abandoned' }]);
    expect(process.counts()).toMatchObject({ waiting: 2, dead: 2 });
    expect(process.pool.workerCount()).toBe(0);
    gates[0]!.resolve();
    await settle();
    expect(resumed).toEqual(paused);
    expect(gates).toHaveLength(3);
    gates[1]!.reject(new Error('late'));
    gates[2]!.resolve();
    await process.waitForCompletion();
    expect(process.counts()).toMatchObject({ completed: 2, dead: 2 });
    await process.end();
  });

  it('are not waited for by a shutdown', async () => {
    const process = new ManualProcess({ timeoutMs: 80, retry: { limit: 0 } });
    process.register('type', { processItem: () => new Promise(() => undefined) });
    await process.distributeWork('type', ['hangs']);
    await process.clock.turn(100);
    await process.shutdown();
    expect(process.clock.now()).toBe(100);
    expect(process.clock.timers).toBe(0);
  });
});
