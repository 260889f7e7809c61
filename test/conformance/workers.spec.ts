import { describe, expect, it } from '@jest/globals';
import {
  QueueFullError,
  Worker,
  type ItemContext,
  type Outcome,
  type WorkerProcessEvents,
} from '../../src/index.js';
import { deferred } from '../support/deferred.js';
import { engines, memory, processesOn, redis } from './engines.js';
import { Seen } from './seen.js';

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number);
}

describe.each(engines)('workers on $name', (engine) => {
  const processes = processesOn(engine);

  it('grow to maxConcurrency, and never beyond', async () => {
    const process = processes.start({ maxConcurrency: 3, scalingThreshold: 1 });
    const gate = deferred();
    const started = new Seen<number>();
    let running = 0;
    let most = 0;
    process.register('type', {
      processItem: async (payload: number) => {
        most = Math.max(most, ++running);
        started.add(payload);
        await gate.promise;
        await new Promise((resolve) => setImmediate(resolve));
        running--;
      },
    });
    const job = await process.distributeWork('type', numbers(100));
    await started.reach(3);
    gate.resolve();
    expect(await job.completed).toMatchObject({ done: 100 });
    expect(most).toBe(3);
  });

  it('keep to the limits of their types', async () => {
    const process = processes.start({ maxConcurrency: 4, scalingThreshold: 1 });
    const running = { one: 0, other: 0 };
    const most = { one: 0, other: 0, both: 0 };
    const registerType = (type: 'one' | 'other', maxConcurrency: number) =>
      process.register(type, {
        maxConcurrency,
        processItem: async () => {
          most[type] = Math.max(most[type], ++running[type]);
          most.both = Math.max(most.both, running.one + running.other);
          await new Promise((resolve) => setImmediate(resolve));
          running[type]--;
        },
      });
    registerType('one', 1);
    registerType('other', 4);
    const jobs = [
      await process.distributeWork('one', numbers(100)),
      await process.distributeWork('other', numbers(100)),
    ];
    for (const job of jobs) expect(await job.completed).toMatchObject({ done: 100 });
    expect(most.one).toBe(1);
    expect(most.both).toBeLessThanOrEqual(4);
  });

  it('do not let a type with many items starve one with few', async () => {
    const process = processes.start({ maxConcurrency: 1 });
    let many = 0;
    process.register('many', {
      processItem: async () => {
        many++;
        await new Promise((resolve) => setTimeout(resolve, 5));
      },
    });
    process.register('few', { processItem: () => undefined });
    await process.distributeWork('many', numbers(1_000));
    const few = await process.distributeWork('few', [1, 2, 3]);
    expect(await few.completed).toMatchObject({ done: 3 });
    expect(many).toBeLessThan(1_000);
  });

  it('are started and stopped, each once, and go when they have nothing to do', async () => {
    const process = processes.start({ maxConcurrency: 4, idleTimeoutMs: 0, scaleDownDelayMs: 0 });
    const told = new Seen<string>();
    class Counted extends Worker<number> {
      override onStart(): void {
        told.add('start');
      }
      override async processItem(): Promise<void> {
        told.add('item');
        await new Promise((resolve) => setImmediate(resolve));
      }
      override onStop(): void {
        told.add('stop');
      }
    }
    process.register('type', { worker: Counted, scalingThreshold: 1 });
    const job = await process.distributeWork('type', numbers(50));
    expect(await job.completed).toMatchObject({ done: 50 });
    const count = (word: string) => told.all.filter((one) => one === word).length;
    await told.until(() => count('start') === count('stop'));
    expect(count('start')).toBeGreaterThanOrEqual(2);
    expect(count('item')).toBe(50);
    await process.shutdown();
    expect(count('stop')).toBe(count('start'));
  });

  it('that can not start are tried again, and no item is lost', async () => {
    const process = processes.start();
    const failed = new Seen<WorkerProcessEvents['workerFailed']>();
    process.on('workerFailed', failed.add);
    let starts = 0;
    class Late extends Worker<number> {
      override onStart(): void {
        if (++starts < 3) throw new Error('not yet');
      }
      override processItem(): void {}
    }
    process.register('type', { worker: Late });
    const job = await process.distributeWork('type', [1, 2, 3]);
    expect(await job.completed).toMatchObject({ done: 3 });
    expect(failed.all).toHaveLength(2);
  });

  it('pause their type when too many handlers run on after their time limit', async () => {
    const process = processes.start({ maxConcurrency: 1, retry: { limit: 0 } });
    const end = deferred();
    const told = new Seen<string>();
    process.on('paused', ({ reason }) => told.add(`paused: ${reason}`));
    process.on('resumed', ({ reason }) => told.add(`resumed: ${reason}`));
    process.register('type', {
      timeoutMs: 100,
      maxAbandoned: 1,
      processItem: (payload: string) => (payload === 'stuck' ? end.promise : undefined),
    });
    const stuck = await process.distributeWork('type', ['stuck', 'stuck']);
    const result = stuck.completed;
    await told.reach(1);
    expect(told.all).toEqual(['paused: too-many-abandoned']);
    end.resolve();
    await told.reach(2);
    expect(told.all).toEqual(['paused: too-many-abandoned', 'resumed: too-many-abandoned']);
    expect(await result).toMatchObject({ failed: 2 });
    const good = await process.distributeWork('type', ['good']);
    expect(await good.completed).toMatchObject({ done: 1 });
  });

  it('are timed while somebody listens, and reported', async () => {
    const process = processes.start({ retry: { limit: 1, backoffMs: 10 } });
    const attempts = new Seen<WorkerProcessEvents['attempt']>();
    process.on('attempt', attempts.add);
    process.register('type', {
      processItem: (_: string, { attempt }: ItemContext) => {
        if (attempt === 1) throw new Error('again');
      },
    });
    const job = await process.distributeWork('type', ['a']);
    await job.completed;
    expect(attempts.all.map(({ outcome, count, type }) => [outcome, count, type])).toEqual([
      ['failed', 1, 'type'],
      ['completed', 1, 'type'],
    ]);
    expect(process.counts('type')).toMatchObject({ completed: 1, failedAttempts: 1 });
    expect(process.reportPerformance()).toMatchObject({ types: expect.anything() as unknown });
  });

  it('are not disturbed by listeners and functions that throw', async () => {
    const process = processes.start({ retry: { limit: 1, backoffMs: 10 } });
    const failures = new Seen<WorkerProcessEvents['callbackFailed']>();
    process.on('callbackFailed', failures.add);
    for (const name of ['retry', 'deadLetter', 'jobEnded', 'paused'] as const) {
      process.on(name, () => {
        throw new Error(`listener of ${name}`);
      });
    }
    process.register('type', {
      maxDeadLetters: 1,
      processItem: () => Promise.reject(new Error('bad')),
    });
    const job = await process.distributeWork('type', ['a']);
    expect(await job.completed).toMatchObject({ failed: 1 });
    const names = await failures.until((all) => new Set(all.map(({ event }) => event)).size === 4);
    expect(new Set(names.map(({ event }) => event))).toEqual(
      new Set(['retry', 'deadLetter', 'jobEnded', 'paused']),
    );
    await process.discardDeadLetters({ type: 'type' });
  });

  it('tell an observer of each item as it ends', async () => {
    const process = processes.start({ retry: { limit: 0 } });
    const ended = new Seen<readonly [number, Outcome['kind'], number]>();
    process.register('type', {
      processItem: (payload: number) => {
        if (payload === 1) throw new Error('bad');
      },
    });
    const job = await process.distributeWork('type', [0, 1, 2], {
      observer: { itemEnded: (index, { kind }, attempts) => ended.add([index, kind, attempts]) },
    });
    expect(await job.completed).toMatchObject({ done: 2, failed: 1 });
    expect(ended.all.toSorted(([a], [b]) => a - b)).toEqual([
      [0, 'completed', 1],
      [1, 'dead', 1],
      [2, 'completed', 1],
    ]);
    const letters = await process.deadLetters({ type: 'type' });
    expect(letters.map(({ index }) => index)).toEqual([1]);
  });

  it('run the retries of one job now', async () => {
    const process = processes.start({ retry: { limit: 1, backoffMs: 60_000 } });
    const failed = new Seen<number>();
    process.register('type', {
      processItem: (payload: number, { attempt }: ItemContext) => {
        if (attempt > 1) return;
        failed.add(payload);
        throw new Error('again');
      },
    });
    const job = await process.distributeWork('type', [1, 2, 3]);
    await failed.reach(3);
    let released = 0;
    while (released < 3) released += await job.retryFailedItems();
    expect(await job.completed).toMatchObject({ done: 3 });
  });

  it('start at start(), when they do not by themselves', async () => {
    const process = processes.start({ autoStart: false });
    const seen = new Seen<number>();
    process.register('type', { processItem: (payload: number) => seen.add(payload) });
    const job = await process.distributeWork('type', [1, 2]);
    expect(await process.depth('type')).toMatchObject({ waiting: { items: 2 } });
    expect(seen.all).toEqual([]);
    await process.start();
    expect(await job.completed).toMatchObject({ done: 2 });
  });
});

describe('a full queue on memory', () => {
  const processes = processesOn(memory);

  it('makes producers wait, and refuses those that are too many', async () => {
    const process = processes.start();
    const seen = new Seen<number>();
    process.register('type', {
      maxQueueSize: 2,
      maxWaitingProducers: 1,
      processItem: (payload: number) => seen.add(payload),
    });
    await process.pause('type');
    await process.distributeWork('type', [0, 1]);
    const waits = process.distributeWork('type', 2);
    await expect(process.distributeWork('type', 3)).rejects.toThrow(QueueFullError);
    expect(process.offer('type', 4)).toBe(false);
    await process.resume('type');
    await waits;
    expect(await seen.reach(3)).toEqual([0, 1, 2]);
  });
});

describe('a start on redis', () => {
  const processes = processesOn(redis);

  it('connects once, however often it is asked for', async () => {
    const process = processes.start({ autoStart: false });
    process.register('type', { processItem: () => undefined });
    await Promise.all([process.start(), process.start()]);
    const risks = await process.findRisks();
    for (const risk of risks) expect(risk).toMatch(/Redis|maxmemory|append|persist/i);
    const job = await process.distributeWork('type', [1]);
    expect(await job.completed).toMatchObject({ done: 1 });
  });

  it('brings items of types that are registered later', async () => {
    const process = processes.start();
    await process.start();
    process.register('late', { processItem: () => undefined });
    const job = await process.distributeWork('late', [1, 2]);
    expect(await job.completed).toMatchObject({ done: 2 });
  });
});
