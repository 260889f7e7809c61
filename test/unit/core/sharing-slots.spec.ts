import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Worker } from '../../../src/core/worker.js';
import { WorkerProcess } from '../../../src/core/worker-process.js';
import { Gates } from '../../support/gates.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ timeoutMs: 0 });

describe('sharing slots', () => {
  it('never has more handlers at work than slots, in all and of a type, under any load', async () => {
    const loads = fc.array(
      fc.record({
        type: fc.nat({ max: 3 }),
        count: fc.nat({ max: 30 }),
        letGo: fc.nat({ max: 10 }),
        ms: fc.nat({ max: 300 }),
      }),
      { minLength: 1, maxLength: 20 },
    );
    await fc.assert(
      fc.asyncProperty(loads, fc.integer({ min: 1, max: 6 }), async (steps, maxConcurrency) => {
        const process = start({
          maxConcurrency,
          scalingThreshold: 2,
          scaleDownDelayMs: 100,
          idleTimeoutMs: 150,
        });
        const gates = [1, 2, 3, 9].map((limit, index) => {
          const own = new Gates();
          process.register(`${index}`, { processItem: own.processItem, maxConcurrency: limit });
          return own;
        });
        for (const { type, count, letGo, ms } of steps) {
          void process.distributeWork(`${type}`, Array.from({ length: count }));
          await process.clock.turn(ms);
          expect(gates.reduce((sum, { running }) => sum + running, 0)).toBeLessThanOrEqual(maxConcurrency);
          expect(process.pool.workerCount()).toBeLessThanOrEqual(maxConcurrency);
          for (const own of gates) await own.letGo(letGo);
        }
        while (process.counts().waiting + process.counts().running > 0) {
          for (const own of gates) await own.letGo();
          await process.clock.turn(50);
        }
        [1, 2, 3, 9].forEach((limit, index) => expect(gates[index]!.most).toBeLessThanOrEqual(limit));
        expect(process.counts().completed).toBe(steps.reduce((sum, { count }) => sum + count, 0));
      }),
      { numRuns: 40 },
    );
  }, 30_000);

  it('gives a type that comes late its part of the slots, as handlers return', async () => {
    const process = start({ maxConcurrency: 4, scalingThreshold: 1 });
    const [big, small] = [new Gates(), new Gates()];
    process.register('big', { processItem: big.processItem });
    process.register('small', { processItem: small.processItem });
    const scaled = process.heard('scaled');
    await process.distributeWork('big', Array.from({ length: 100 }));
    await settle();
    expect(big.running).toBe(4);
    await process.distributeWork('small', Array.from({ length: 20 }));
    await settle();
    expect(scaled.slice(-2)).toMatchObject([
      { type: 'big', to: 2, reason: 'shared-slots' },
      { type: 'small', to: 2, reason: 'shared-slots' },
    ]);
    expect(small.running).toBe(0);
    await big.letGo(2);
    expect([big.running, small.running]).toEqual([2, 2]);
    while (small.running > 0 || process.counts('small').waiting > 0) await small.letGo();
    await process.clock.turn(2_000);
    expect(big.running + small.running).toBeLessThanOrEqual(4);
    await big.letGo();
    await process.clock.turn(15_000);
    expect(big.running).toBe(4);
    await big.drain();
    await process.waitForCompletion();
  });

  it('takes turns when more types want a slot than there are', async () => {
    const process = start({ maxConcurrency: 2 });
    const served = new Map<string, number>();
    const types = ['a', 'b', 'c', 'd', 'e'];
    const gates = types.map((type) => {
      const own = new Gates();
      process.register(type, {
        processItem: () => {
          served.set(type, (served.get(type) ?? 0) + 1);
          return own.processItem();
        },
      });
      return own;
    });
    for (const type of types) void process.distributeWork(type, Array.from({ length: 1_000 }));
    for (let turn = 0; turn < 100; turn++) {
      await process.clock.turn(10);
      for (const own of gates) await own.letGo();
    }
    const shares = types.map((type) => served.get(type) ?? 0);
    const total = shares.reduce((a, b) => a + b, 0);
    for (const share of shares) expect(share).toBeGreaterThan(total / 10);
    for (const type of types) void process.pause(type);
    for (const own of gates) await own.letGo();
  }, 20_000);

  it.each([
    ['synchronous', () => undefined],
    ['asynchronous', async () => undefined],
  ])(
    'does not let a million items of one type starve three of another: %s handlers',
    async (_, processItem) => {
      const process = new WorkerProcess({ maxConcurrency: 1, maxQueueSize: 1_000_000 });
      process.register('many', { processItem });
      process.register('few', { processItem });
      await process.distributeWork('many', new Array(1_000_000).fill(0));
      await new Promise((resolve) => setImmediate(resolve));
      expect(process.counts('many').waiting).toBeGreaterThan(0);
      const few = await process.distributeWork('few', [1, 2, 3]);
      expect(await few.completed).toMatchObject({ done: 3 });
      const waiting = process.counts('many').waiting;
      await process.waitForCompletion();
      expect(process.counts()).toMatchObject({ completed: 1_000_003 });
      await process.shutdown();
      expect(waiting).toBeGreaterThan(0);
    },
  );
});

/** One slot for several types, each with a thousand items of 10 ms. */
async function compete(types: Record<string, { startMs: number; fails?: boolean }>) {
  const process = start({ maxConcurrency: 1, shutdownTimeoutMs: 0, timeoutMs: 0 });
  const after = (ms: number) => new Promise<void>((resolve) => process.clock.setTimer(resolve, ms));
  const turns: { type: string; items: number }[] = [];
  for (const [type, { startMs, fails }] of Object.entries(types)) {
    class Slow extends Worker {
      private readonly turn = { type, items: 0 };
      override async onStart(): Promise<void> {
        if (startMs > 0) await after(startMs);
        if (fails === true) throw new Error('can not start');
        turns.push(this.turn);
      }
      override async processItem(): Promise<void> {
        await after(10);
        this.turn.items++;
      }
    }
    process.register(type, { worker: Slow });
    await process.distributeWork(type, Array.from({ length: 1_000 }));
  }
  return { process, turns };
}

describe('turns among more types than slots', () => {
  it('are measured from when the worker is ready, however long its start takes', async () => {
    const { process, turns } = await compete({ slow: { startMs: 80 }, slower: { startMs: 120 } });
    await process.clock.turn(2_000);
    const whole = turns.slice(0, -1);
    expect(whole.length).toBeGreaterThan(8);
    whole.forEach(({ type, items }, place) => {
      expect(type).toBe(place % 2 === 0 ? 'slow' : 'slower');
      expect(items).toBeGreaterThanOrEqual(5);
      expect(items).toBeLessThanOrEqual(11);
    });
  });

  it('are not kept by a type whose workers can not start', async () => {
    const { process } = await compete({ broken: { startMs: 0, fails: true }, well: { startMs: 0 } });
    await process.clock.turn(5_000);
    expect(process.counts('well').completed).toBeGreaterThan(300);
  });

  it('are not prolonged by the replacements of workers that pass their time limit', async () => {
    const process = start({ maxConcurrency: 1, retry: { limit: 0 }, shutdownTimeoutMs: 0 });
    process.register('hasty', {
      timeoutMs: 30,
      processItem: (_payload, { signal }) =>
        new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
        ),
    });
    process.register('small', { processItem: () => undefined });
    await process.distributeWork('hasty', Array.from({ length: 1_000 }));
    const job = await process.distributeWork('small', [1]);
    await process.clock.turn(1_000);
    expect(job.progress()).toMatchObject({ done: 1 });
    expect(process.counts('hasty').dead).toBeGreaterThan(2);
  });
});

describe('a type that is paused and resumed while its worker is busy', () => {
  it('gives its turn away all the same, although its worker was ready before', async () => {
    const process = start({ maxConcurrency: 1, shutdownTimeoutMs: 0 });
    const after = (ms: number) => new Promise<void>((resolve) => process.clock.setTimer(resolve, ms));
    process.register('many', { processItem: () => after(10) });
    process.register('few', { processItem: () => undefined });
    await process.distributeWork('many', Array.from({ length: 1_000 }));
    await process.clock.turn(5);
    void process.pause('many');
    await process.clock.turn(0);
    void process.resume('many');
    const few = await process.distributeWork('few', [1]);
    await process.clock.turn(1_000);
    expect(few.progress()).toMatchObject({ done: 1 });
    expect(process.counts('many').completed).toBeGreaterThan(50);
  });
});
