/* oxlint-disable unicorn/no-thenable -- a worker may come by one */
import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, it } from '@jest/globals';
import { InvalidWorkerError } from '../../../src/core/errors.js';
import { Worker } from '../../../src/core/worker.js';
import { BreakingClock } from '../../support/breaking-clock.js';
import { deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ timeoutMs: 0 });

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

  it('that is wanted is left idle beside a busy one, in place of being replaced for ever', async () => {
    const process = start({ idleTimeoutMs: 0, maxConcurrency: 4 });
    const gate = deferred();
    let made = 0;
    class Held extends Worker {
      override onStart(): void {
        if (++made > 100) throw new Error('made anew again and again');
      }
      override processBatch(): Promise<void> {
        return gate.promise;
      }
    }
    process.register('type', { worker: Held });
    const job = await process.distributeWork('type', Array.from({ length: 25 }));
    await process.clock.turn(1_000);
    expect(made).toBe(2);
    gate.resolve();
    expect(await job.completed).toMatchObject({ done: 25 });
    await process.end();
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
    expect(job.isEnded).toBe(true);
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

describe('a worker that breaks down between two items', () => {
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
