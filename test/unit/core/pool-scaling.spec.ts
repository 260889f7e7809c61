import { describe, expect, it, jest } from '@jest/globals';
import type { ScalingInput } from '../../../src/core/scaling-policy.js';
import { Gates } from '../../support/gates.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ timeoutMs: 0 });

function throwing(): number {
  throw new Error('policy');
}

describe('scaling', () => {
  it('asks the policy at each multiple of the threshold, upwards and downwards, never of an empty queue', async () => {
    const asked: ScalingInput[] = [];
    const process = start({ maxConcurrency: 1, scalingThreshold: 5 });
    const gates = new Gates();
    process.register('type', {
      processItem: gates.processItem,
      scalingPolicy: (input) => asked.push(input),
    });
    await settle();
    for (let i = 0; i < 17; i++) {
      process.offer('type', i);
      await settle();
    }
    expect(asked.map(({ queueSize }) => queueSize)).toEqual([1, 5, 10, 15]);
    expect(asked[0]).toEqual({
      type: 'type',
      queueSize: 1,
      scalingThreshold: 5,
      maxConcurrency: 1,
      current: 0,
    });
    asked.length = 0;
    while (gates.running > 0) await gates.letGo();
    expect(asked.map(({ queueSize }) => queueSize)).toEqual([14, 9, 4]);
    await process.clock.turn(1_000);
    expect(asked).toHaveLength(3);
  });

  it('asks once about several multiples that are crossed at once', async () => {
    const asked: number[] = [];
    const process = start({ scalingThreshold: 2, maxConcurrency: 1 });
    const gates = new Gates();
    process.register('type', {
      processItem: gates.processItem,
      scalingPolicy: ({ queueSize }) => asked.push(queueSize),
    });
    await process.distributeWork('type', Array.from({ length: 20 }));
    await settle();
    expect(asked).toEqual([20]);
    await gates.drain();
  });

  it.each([{ minWorkers: 0 }, { minWorkers: 3 }])(
    'is not reviewed at each item below the threshold, where the formula can not give less: %o',
    async ({ minWorkers }) => {
      const process = start({ maxConcurrency: 4, scalingThreshold: 10, minWorkers });
      const review = jest.spyOn(process.pool, 'review');
      let left = 1_000;
      process.register('type', {
        processItem: async () => {
          if (left-- > 0) process.offer('type', 0);
        },
      });
      for (let i = 0; i < 5; i++) process.offer('type', i);
      await process.clock.turn(0);
      expect(process.counts().completed).toBe(1_005);
      expect(review.mock.calls.length).toBeLessThan(20);
    },
  );

  it('follows the formula up at once and down after the delay, and tells so with the reason', async () => {
    const process = start({
      maxConcurrency: 4,
      scalingThreshold: 2,
      scaleDownDelayMs: 1_000,
      idleTimeoutMs: 500,
    });
    const gates = new Gates();
    process.register('type', { processItem: gates.processItem });
    const scaled = process.heard('scaled');
    const offer = async (count: number) => {
      for (let i = 0; i < count; i++) process.offer('type', i);
      await settle();
    };
    await offer(1);
    await offer(3);
    await offer(16);
    expect(scaled.map(({ from, to, reason, queueSize }) => [from, to, reason, queueSize])).toEqual([
      [0, 1, 'queue-size', 1],
      [1, 2, 'queue-size', 4],
      [2, 4, 'queue-size', 20],
    ]);
    expect(gates.running).toBe(4);
    scaled.length = 0;
    while (process.counts().waiting > 1) await gates.letGo(1);
    expect(process.counts()).toMatchObject({ waiting: 1, running: 4 });
    await process.clock.turn(900);
    expect(scaled).toEqual([]);
    await process.clock.turn(200);
    // Three were wanted for a moment on the way down, within the delay.
    expect(scaled.map(({ to, reason }) => [to, reason])).toEqual([[3, 'queue-size']]);
    await process.clock.turn(1_000);
    expect(scaled.at(-1)).toMatchObject({ from: 3, to: 2, reason: 'queue-size' });
    await gates.letGo();
    expect(process.pool.workerCount()).toBe(2);
    await gates.drain();
    await process.clock.turn(2_000);
    expect(scaled.at(-1)).toMatchObject({ to: 0, reason: 'idle' });
    expect(process.pool.workerCount()).toBe(0);
  });

  it('keeps a policy within its limits, and takes the default in place of one that throws', async () => {
    let answer = throwing;
    const process = start({ maxConcurrency: 5, scalingThreshold: 2, scaleDownDelayMs: 0 });
    const gates = new Gates();
    process.register('type', { processItem: gates.processItem, scalingPolicy: () => answer() });
    const failed = process.heard('callbackFailed');
    await process.distributeWork('type', Array.from({ length: 6 }));
    await process.clock.turn(1_000);
    expect(gates.running).toBe(3);
    expect(failed).toEqual([{ event: 'scalingPolicy', error: new Error('policy') }]);
    for (const [given, workers] of [
      [Infinity, 5],
      [-5, 1],
      [2.5, 2],
    ] as const) {
      answer = () => given;
      process.adjustWorkerCount();
      expect(process.reportPerformance().types[0]!.targetWorkers).toBe(workers);
    }
    for (const wrong of [5n, NaN, '3', undefined, Promise.resolve(5), Promise.reject(new Error('late'))]) {
      answer = () => 4;
      process.adjustWorkerCount();
      failed.length = 0;
      answer = () => wrong as number;
      process.adjustWorkerCount();
      process.adjustWorkerCount();
      expect(process.reportPerformance().types[0]!.targetWorkers).toBe(3);
      expect(failed.map(({ event, error }) => [event, error.message])).toEqual([
        ['scalingPolicy', expect.stringMatching(/^expected a number of workers, got /)],
      ]);
    }
    await gates.drain();
    await process.waitForCompletion();
  });

  it('waits for start() when it does not start by itself', async () => {
    const process = start({ autoStart: false });
    process.register('type', { processItem: () => undefined, minWorkers: 1 });
    const job = await process.distributeWork('type', [1, 2]);
    await process.clock.turn(1_000);
    expect(process.counts()).toMatchObject({ waiting: 2 });
    expect(process.pool.workerCount()).toBe(0);
    expect(process.pool.addWorker('type')).toBe(false);
    void process.start();
    await settle();
    expect(await job.completed).toMatchObject({ done: 2 });
  });
});
