/* oxlint-disable unicorn/no-thenable -- a worker may come by one */
import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import * as fc from 'fast-check';
import {
  DuplicateWorkerTypeError,
  InvalidWorkerError,
  UnknownWorkerTypeError,
} from '../../../src/core/errors.js';
import type { WorkerProcessOptionsInput } from '../../../src/core/options.js';
import type { ScalingInput } from '../../../src/core/scaling-policy.js';
import { Worker } from '../../../src/core/worker.js';
import { WorkerProcess } from '../../../src/core/worker-process.js';
import { deferred, type Deferred } from '../../support/deferred.js';
import { ManualClock, settle } from '../../support/manual-clock.js';
import { ManualProcess } from '../../support/manual-process.js';

const started: ManualProcess[] = [];

function start(options: WorkerProcessOptionsInput = {}): ManualProcess {
  const process = new ManualProcess({ timeoutMs: 0, ...(options as object) });
  started.push(process);
  return process;
}

afterEach(async () => {
  for (const process of started.splice(0)) await process.end();
});

function throwing(): number {
  throw new Error('policy');
}

/** Handlers that stay until they are let go. */
class Gates {
  readonly open: Deferred[] = [];
  most = 0;

  readonly processItem = async (): Promise<void> => {
    const gate = deferred();
    this.open.push(gate);
    this.most = Math.max(this.most, this.open.length);
    await gate.promise;
  };

  get running(): number {
    return this.open.length;
  }

  async letGo(count = this.open.length): Promise<void> {
    for (const gate of this.open.splice(0, count)) gate.resolve();
    await settle();
  }

  /** Lets all go that come, too. */
  async drain(): Promise<void> {
    while (this.open.length > 0) await this.letGo();
  }
}

describe('a worker that does not start in time', () => {
  it('counts as failed, is replaced, and gives back what it took when it is ready after all', async () => {
    const process = start({ timeoutMs: 1_000 });
    const firstStart = deferred();
    const stopped: number[] = [];
    let made = 0;
    class Slow extends Worker<string> {
      private readonly number = ++made;
      override async onStart() {
        if (this.number === 1) await firstStart.promise;
      }
      override onStop() {
        stopped.push(this.number);
      }
      override processItem() {
        return undefined;
      }
    }
    process.register('type', { worker: Slow, maxConcurrency: 1 });
    const failed = process.heard('workerFailed');
    const job = await process.distributeWork('type', 'item');
    await process.clock.turn(999);
    expect(failed).toEqual([]);
    await process.clock.turn(1_000);
    expect(failed).toMatchObject([{ type: 'type', during: 'start', error: { code: 'TIME_LIMIT' } }]);
    expect(failed[0]!.error.message).toBe('Start of a worker of "type" passed its time limit of 1000 ms');
    expect(await job.completed).toMatchObject({ status: 'completed' });
    expect(stopped).toEqual([]);
    firstStart.resolve();
    await settle();
    expect(stopped).toEqual([1]);
  });

  it('does not hold up a shutdown when it does not stop', async () => {
    const process = start({ timeoutMs: 1_000, idleTimeoutMs: 0 });
    class Hanging extends Worker<string> {
      override onStop() {
        return new Promise<void>(() => undefined);
      }
      override processItem() {
        return undefined;
      }
    }
    process.register('type', { worker: Hanging });
    const failed = process.heard('workerFailed');
    await process.distributeWork('type', 'item');
    await process.clock.turn(3_000);
    expect(failed).toMatchObject([{ during: 'stop', error: { code: 'TIME_LIMIT' } }]);
    expect(process.pool.workerCount()).toBe(0);
  });
});

describe('the asynchronous context', () => {
  it('of who submits does not reach the workers and what the pool tells', async () => {
    const requests = new AsyncLocalStorage<string>();
    const process = start();
    const seen: unknown[] = [];
    process.on('scaled', () => seen.push(requests.getStore()));
    process.register('type', {
      processItem: () => seen.push(requests.getStore()),
      maxConcurrency: 2,
      scalingThreshold: 1,
    });
    await requests.run('request', () => process.distributeWork('type', [1, 2, 3]));
    await process.clock.turn(200);
    await process.waitForCompletion();
    expect(seen.length).toBeGreaterThan(3);
    expect(new Set(seen)).toEqual(new Set([undefined]));
  });
});

describe('a definition', () => {
  it.each([
    [{}, 'expected one of worker, processItem and processBatch, got none'],
    [{ processItem: () => 0, processBatch: () => 0 }, 'got processItem and processBatch'],
    [{ create: () => ({}), processItem: () => 0 }, 'expected worker, the class of what create makes'],
  ])('that contradicts itself is refused: %o', (definition, message) => {
    const process = start();
    expect(() => process.register('type', definition as never)).toThrow(message);
    expect(process.types).toEqual([]);
  });

  it('needs a name for its type', () => {
    expect(() => start().register('', { processItem: () => 0 })).toThrow(
      'expected a type name that is not empty',
    );
  });
});

describe('a worker', () => {
  it('is started once before its first item, and stopped once after its last', async () => {
    const process = start({ maxConcurrency: 2, scalingThreshold: 1, idleTimeoutMs: 200 });
    const logs: string[][] = [];
    class Logging extends Worker<string> {
      private readonly log: string[] = [];
      override async onStart(): Promise<void> {
        logs.push(this.log);
        await settle();
        this.log.push('started');
      }
      override async processItem(payload: string): Promise<void> {
        this.log.push(payload);
        await settle();
      }
      override async onStop(): Promise<void> {
        await settle();
        this.log.push('stopped');
      }
    }
    process.register('type', { worker: Logging });
    await process.distributeWork('type', ['a', 'b', 'c', 'd']);
    await process.clock.turn(1_000);
    expect(process.pool.workerCount()).toBe(0);
    await process.distributeWork('type', ['e']);
    await process.clock.turn(1_000);
    expect(logs).toHaveLength(3);
    for (const log of logs) {
      expect(log[0]).toBe('started');
      expect(log.indexOf('stopped')).toBe(log.length - 1);
    }
    expect(logs.flatMap((log) => log.slice(1, -1)).toSorted()).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it.each([
    ['onStart throws', { onStart: true }],
    ['cannot be made', { create: true }],
    ['cannot be made, asynchronously', { createLater: true }],
  ])('that %s is tried again later and later, and works when it can', async (_, broken) => {
    const process = start({ maxConcurrency: 3, scalingThreshold: 1 });
    let fails = true;
    const tries: number[] = [];
    class Fragile extends Worker {
      override onStart(): void {
        if ('onStart' in broken) attempt();
      }
      override processItem(): void {}
    }
    const attempt = () => {
      if (tries.at(-1) !== process.clock.now()) tries.push(process.clock.now());
      if (fails) throw new Error('no connection');
    };
    process.register('type', {
      worker: Fragile,
      create: () => {
        if ('create' in broken) attempt();
        if (!('createLater' in broken)) return new Fragile();
        return settle().then(() => {
          attempt();
          return new Fragile();
        });
      },
    });
    const failures = process.heard('workerFailed');
    const job = await process.distributeWork('type', [1, 2, 3, 4, 5]);
    await process.clock.turn(4_000);
    // Looked at every 100 ms: after 500, 1,000 and 2,000 ms. Workers that fail together count once.
    expect(tries).toEqual([0, 500, 1_500, 3_500]);
    expect(failures[0]).toEqual({
      type: 'type',
      during: 'start',
      error: new Error('no connection'),
      retryInMs: 500,
    });
    expect([...new Set(failures.map(({ retryInMs }) => retryInMs))]).toEqual([500, 1_000, 2_000, 4_000]);
    expect(process.counts()).toMatchObject({ waiting: 5, failedAttempts: 0 });
    fails = false;
    await process.clock.turn(4_000);
    expect(await job.completed).toMatchObject({ done: 5 });
    expect(process.pool.workerCount()).toBeGreaterThan(0);
  });

  it('that throws while it stops is told of, and gone', async () => {
    const process = start({ idleTimeoutMs: 0 });
    class Leaving extends Worker {
      override processItem(): void {}
      override onStop(): void {
        throw new Error('stop');
      }
    }
    process.register('type', { worker: Leaving });
    const failures = process.heard('workerFailed');
    await process.distributeWork('type', ['a']);
    await process.clock.turn(200);
    expect(failures).toEqual([
      { type: 'type', during: 'stop', error: new Error('stop'), retryInMs: undefined },
    ]);
    expect(process.pool.workerCount()).toBe(0);
  });

  it('that is not of the registered kind is refused when it is made', async () => {
    const process = start();
    class Registered extends Worker {
      override processItem(): void {}
    }
    class Other extends Worker {
      override processBatch(): void {}
    }
    process.register('type', { worker: Registered, create: () => new Other() });
    const failures = process.heard('workerFailed');
    process.offer('type', 1);
    await settle();
    expect(failures[0]!.error).toBeInstanceOf(InvalidWorkerError);
    expect(failures[0]!.error.message).toBe(
      'Worker of type "type": expected a worker with processItem, as the registered class has it',
    );
  });

  it('may be made by a promise of another realm or kind', async () => {
    const process = start();
    class Plain extends Worker {
      override processItem(): void {}
    }
    process.register('type', {
      worker: Plain,
      create: () =>
        ({ then: (done: (worker: Plain) => void) => done(new Plain()) }) as unknown as Promise<Plain>,
    });
    const job = await process.distributeWork('type', ['a']);
    await settle();
    expect(job.isFinished).toBe(true);
  });

  it('starts items in the order of the queue, when it is the only one', async () => {
    const process = start({ maxConcurrency: 1 });
    const order: number[] = [];
    process.register('type', {
      processItem: async (payload: number) => {
        order.push(payload);
        if (payload % 3 === 0) await settle();
      },
    });
    const numbers = Array.from({ length: 50 }, (_, i) => i);
    void process.distributeWork('type', numbers.slice(0, 20));
    for (const number of numbers.slice(20, 30)) process.offer('type', number);
    void process.distributeWork('type', numbers.slice(30, 32).values());
    for (const number of numbers.slice(32)) void process.distributeWork('type', number);
    await process.waitForCompletion();
    expect(order).toEqual(numbers);
  });
});

describe('a worker type', () => {
  it('is registered once, and known by its name only', async () => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    expect(() => process.register('type', { processItem: () => undefined })).toThrow(
      DuplicateWorkerTypeError,
    );
    expect(process.types).toEqual(['type']);
    expect(() => process.register('wrong', { processItem: () => 0, batchSize: 0 })).toThrow('batchSize');
    expect(process.types).toEqual(['type']);
    await expect(process.distributeWork('tpye', 1)).rejects.toThrow(
      'Unknown worker type "tpye"; known types: type',
    );
    const acts = [
      () => process.offer('x', 1),
      () => process.counts('x'),
      () => process.pause('x'),
      () => process.resume('x'),
      () => process.deadLetters({ type: 'x' }),
      () => process.retryFailedItems('x'),
      () => process.redriveDeadLetters({ type: 'x' }),
    ];
    for (const act of acts) expect(act).toThrow(UnknownWorkerTypeError);
    await expect(process.waitForCompletion('x')).rejects.toThrow(UnknownWorkerTypeError);
    expect(process.pool.addWorker('x')).toBe(false);
    expect(process.pool.removeWorker('x')).toBe(false);
    expect(process.pool.workerCount('x')).toBe(0);
  });

  it('keeps idle workers until their time, and minWorkers for ever', async () => {
    const process = start({ maxConcurrency: 4, scalingThreshold: 1, idleTimeoutMs: 1_000 });
    process.register('type', { processItem: settle, minWorkers: 2 });
    await settle();
    expect(process.pool.workerCount('type')).toBe(2);
    await process.distributeWork('type', [1, 2, 3, 4]);
    await process.waitForCompletion();
    await process.clock.turn(900);
    expect(process.pool.workerCount('type')).toBe(4);
    await process.clock.turn(200);
    expect(process.pool.workerCount('type')).toBe(2);
    await process.clock.turn(100_000);
    expect(process.pool.workerCount('type')).toBe(2);
  });

  it('gets its minWorkers although the first ones could not start, and nothing else happens', async () => {
    const process = start();
    let fails = true;
    class Fragile extends Worker {
      override processItem(): void {}
      override onStart(): void {
        if (fails) throw new Error('not yet');
      }
    }
    process.register('type', { worker: Fragile, minWorkers: 1 });
    await process.clock.turn(300);
    expect(process.pool.workerCount()).toBe(0);
    fails = false;
    await process.clock.turn(400);
    expect(process.pool.workerCount()).toBe(1);
  });

  it('starts nothing while it is paused, lets running items finish, and goes on when resumed', async () => {
    const process = start({ maxConcurrency: 2, scalingThreshold: 1 });
    const gates = new Gates();
    process.register('type', { processItem: gates.processItem });
    const paused = process.heard('paused');
    const resumed = process.heard('resumed');
    await process.distributeWork('type', [1, 2, 3, 4]);
    await settle();
    process.pause('type');
    process.pause('type');
    await gates.letGo();
    await process.clock.turn(5_000);
    expect(process.counts()).toMatchObject({ completed: 2, waiting: 2, running: 0 });
    expect(process.pool.workerCount()).toBe(0);
    expect(process.offer('type', 5)).toBe(true);
    process.resume('type');
    process.resume('type');
    await settle();
    expect(gates.running).toBe(2);
    await gates.drain();
    await process.waitForCompletion();
    expect(paused).toEqual([{ type: 'type', reason: 'requested' }]);
    expect(resumed).toEqual(paused);
  });

  it('reports how it does', async () => {
    const process = start({ maxConcurrency: 2, scalingThreshold: 1, retry: { limit: 0 } });
    const gates = new Gates();
    process.register('type', { processItem: gates.processItem });
    await process.distributeWork('type', [1, 2, 3, 4]);
    await process.clock.turn(500);
    await gates.letGo(1);
    await process.clock.turn(500);
    const report = process.reportPerformance();
    expect(report).toMatchObject({ intervalMs: 1_000, totalItemsProcessed: 1, workers: 2 });
    expect(report.types).toEqual([
      expect.objectContaining({
        type: 'type',
        workers: 2,
        busyWorkers: 2,
        targetWorkers: 2,
        itemsPerSecond: 1,
        meanAttemptMs: 500,
        completed: 1,
        waiting: 1,
        running: 2,
      }),
    ]);
    await gates.drain();
    await process.clock.turn(1_500);
    // Each reader has its own former report, and takes nothing from the others.
    const second = process.reportPerformance(report);
    expect(second).toMatchObject({ intervalMs: 1_500, types: [{ itemsPerSecond: 2, busyWorkers: 0 }] });
    expect(process.reportPerformance(report)).toEqual(second);
    expect(process.reportPerformance()).toMatchObject({
      intervalMs: 2_500,
      types: [{ itemsPerSecond: 1.6 }],
    });
    expect(process.reportPerformance(second)).toMatchObject({
      intervalMs: 0,
      types: [{ itemsPerSecond: 0, meanAttemptMs: undefined }],
    });
    expect(process.totalItemsProcessed).toBe(4);
  });
});

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

  it('adds a worker beyond the formula, which leaves when it has been idle', async () => {
    const process = start({ maxConcurrency: 3, scalingThreshold: 100, idleTimeoutMs: 500 });
    const gates = new Gates();
    process.register('type', { processItem: gates.processItem, maxConcurrency: 2 });
    const scaled = process.heard('scaled');
    await process.distributeWork('type', Array.from({ length: 4 }));
    await settle();
    expect(gates.running).toBe(1);
    expect(process.pool.addWorker('type')).toBe(true);
    await settle();
    expect(gates.running).toBe(2);
    expect(scaled.at(-1)).toMatchObject({ from: 1, to: 2, reason: 'requested' });
    expect(process.pool.addWorker('type')).toBe(false);
    await gates.drain();
    await process.clock.turn(1_000);
    expect(process.pool.workerCount()).toBe(0);
    expect(process.pool.addWorker('type')).toBe(true);
    expect(process.pool.workerCount()).toBe(1);
    await process.clock.turn(1_000);
    expect(process.pool.workerCount()).toBe(0);
  });

  it('does not claim to have added a worker that cannot start yet', async () => {
    const process = start();
    let fails = true;
    class Fragile extends Worker {
      override processItem(): void {}
      override onStart(): void {
        if (fails) throw new Error('not yet');
      }
    }
    process.register('type', { worker: Fragile });
    expect(process.pool.addWorker('type')).toBe(true);
    await settle();
    expect(process.pool.workerCount()).toBe(0);
    expect(process.pool.addWorker('type')).toBe(false);
    fails = false;
    await process.clock.turn(600);
    expect(process.pool.addWorker('type')).toBe(true);
    await settle();
    expect(process.pool.workerCount()).toBe(1);
  });

  it('removes a worker when it has finished what it holds', async () => {
    const process = start({ maxConcurrency: 2, scalingThreshold: 1 });
    const gates = new Gates();
    process.register('type', { processItem: gates.processItem, scalingPolicy: ({ current }) => current });
    process.pool.addWorker('type');
    process.pool.addWorker('type');
    await process.distributeWork('type', [1, 2, 3, 4]);
    await settle();
    expect(gates.running).toBe(2);
    expect(process.pool.removeWorker('type')).toBe(true);
    await settle();
    expect(gates.running).toBe(2);
    expect(process.pool.workerCount()).toBe(2);
    await gates.letGo();
    expect(process.counts()).toMatchObject({ completed: 2, running: 1, failedAttempts: 0 });
    expect(process.pool.workerCount()).toBe(1);
    await gates.drain();
    await process.waitForCompletion();
    await process.clock.turn(60_000);
    expect(process.pool.removeWorker('type')).toBe(false);
  });

  it('waits for start() when it does not start by itself', async () => {
    const process = start({ autoStart: false });
    process.register('type', { processItem: () => undefined, minWorkers: 1 });
    const job = await process.distributeWork('type', [1, 2]);
    await process.clock.turn(1_000);
    expect(process.counts()).toMatchObject({ waiting: 2 });
    expect(process.pool.workerCount()).toBe(0);
    expect(process.pool.addWorker('type')).toBe(false);
    process.start();
    await settle();
    expect(await job.completed).toMatchObject({ done: 2 });
  });
});

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
    for (const type of types) process.pause(type);
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

describe('a worker that breaks down between two items', () => {
  /** A clock that fails once, when it is asked to. */
  class BreakingClock extends ManualClock {
    breaksNext = false;
    override now(): number {
      if (!this.breaksNext) return super.now();
      this.breaksNext = false;
      throw new Error('the clock broke');
    }
  }

  it('costs its item an attempt, and is replaced', async () => {
    const clock = new BreakingClock();
    const process = start({ clock, maxConcurrency: 1, retry: { limit: 1, backoffMs: 10, jitter: 0 } });
    process.on('attempt', () => undefined);
    process.register('type', {
      processItem: async (_, { attempt }) => {
        await settle();
        if (attempt === 1) clock.breaksNext = true;
      },
    });
    const failed = process.heard('workerFailed');
    const job = await process.distributeWork('type', ['item']);
    await clock.turn(1_000);
    expect(await job.completed).toMatchObject({ status: 'completed', done: 1 });
    expect(failed).toEqual([
      { type: 'type', during: 'work', error: new Error('the clock broke'), retryInMs: 500 },
    ]);
    expect(process.counts()).toMatchObject({ running: 0, failedAttempts: 1 });
    expect(process.pool.workerCount()).toBe(1);
  });
});
