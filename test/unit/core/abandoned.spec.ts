import { describe, expect, it } from '@jest/globals';
import { ShutdownError } from '../../../src/core/errors.js';
import { Worker } from '../../../src/core/worker.js';
import { deferred, type Deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { ManualProcess } from '../../support/manual-process.js';

/** Workers whose start or stop stays until it is let go, in the order in which they came to it. */
function hangingAt(place: 'start' | 'stop') {
  const gates: Deferred[] = [];
  const stopped: Worker[] = [];
  const hang = async () => {
    const gate = deferred();
    gates.push(gate);
    await gate.promise;
  };
  class Hanging extends Worker<string> {
    override async onStart(): Promise<void> {
      if (place === 'start') await hang();
    }
    override processItem(): void {}
    override async onStop(): Promise<void> {
      if (place === 'stop') await hang();
      stopped.push(this);
    }
  }
  return { gates, stopped, Hanging };
}

const abandonedOf = (process: ManualProcess) => process.reportPerformance().types[0]!.abandoned;

describe('starts of workers that run on after their time limit', () => {
  it('pause their type beyond maxAbandoned, until some have returned', async () => {
    const process = new ManualProcess({ timeoutMs: 80, maxConcurrency: 1, maxAbandoned: 1 });
    const { gates, stopped, Hanging } = hangingAt('start');
    process.register('type', { worker: Hanging });
    const failed = process.heard('workerFailed');
    const paused = process.heard('paused');
    const resumed = process.heard('resumed');
    const job = await process.distributeWork('type', ['item']);
    await process.clock.turn(500);
    expect(paused).toEqual([]);
    expect(abandonedOf(process)).toBe(1);
    await process.clock.turn(100_000);
    expect(gates).toHaveLength(2);
    expect(abandonedOf(process)).toBe(2);
    expect(failed.map(({ during, error }) => [during, error.name])).toEqual([
      ['start', 'TimeLimitError'],
      ['start', 'TimeLimitError'],
    ]);
    expect(paused).toEqual([{ type: 'type', reason: 'too-many-abandoned' }]);
    expect(process.pool.workerCount()).toBe(0);
    gates[0]!.resolve();
    await settle();
    expect(stopped).toHaveLength(1);
    expect(resumed).toEqual(paused);
    expect(gates).toHaveLength(3);
    gates[1]!.reject(new Error('late'));
    gates[2]!.resolve();
    await settle();
    expect(await job.completed).toMatchObject({ done: 1 });
    expect(abandonedOf(process)).toBe(0);
    await process.end();
  });

  it('count until what was late has been stopped', async () => {
    const process = new ManualProcess({ timeoutMs: 80, maxConcurrency: 1, maxAbandoned: 0 });
    const [start, stop] = [deferred(), deferred()];
    let made = 0;
    class Late extends Worker<string> {
      private readonly isFirst = ++made === 1;
      override async onStart(): Promise<void> {
        if (this.isFirst) await start.promise;
      }
      override processItem(): void {}
      override async onStop(): Promise<void> {
        if (this.isFirst) await stop.promise;
      }
    }
    process.register('type', { worker: Late });
    const job = await process.distributeWork('type', ['item']);
    await process.clock.turn(1_000);
    start.resolve();
    await settle();
    expect(abandonedOf(process)).toBe(1);
    expect(made).toBe(1);
    stop.reject(new Error('late'));
    await settle();
    expect(abandonedOf(process)).toBe(0);
    expect(await job.completed).toMatchObject({ done: 1 });
    await process.end();
  });

  it('are none when they failed by themselves', async () => {
    const process = new ManualProcess({ timeoutMs: 80, maxAbandoned: 0 });
    process.register('type', {
      worker: hangingAt('stop').Hanging,
      create: () => Promise.reject(new Error('broken')),
    });
    const failed = process.heard('workerFailed');
    const paused = process.heard('paused');
    process.offer('type', 'item');
    await process.clock.turn(2_000);
    expect(failed.length).toBeGreaterThan(1);
    expect(paused).toEqual([]);
    expect(abandonedOf(process)).toBe(0);
    await process.end();
  });
});

describe('stops of workers that run on after their time limit', () => {
  it('pause their type beyond maxAbandoned, until some have returned', async () => {
    const process = new ManualProcess({
      timeoutMs: 80,
      maxConcurrency: 1,
      maxAbandoned: 1,
      idleTimeoutMs: 0,
    });
    const { gates, Hanging } = hangingAt('stop');
    process.register('type', { worker: Hanging });
    const paused = process.heard('paused');
    const resumed = process.heard('resumed');
    for (let round = 0; round < 3; round++) {
      process.offer('type', 'item');
      await process.clock.turn(1_000);
    }
    expect(process.counts()).toMatchObject({ completed: 2, waiting: 1 });
    expect(gates).toHaveLength(2);
    expect(paused).toEqual([{ type: 'type', reason: 'too-many-abandoned' }]);
    gates[0]!.resolve();
    await settle();
    expect(resumed).toEqual(paused);
    expect(process.counts()).toMatchObject({ completed: 3 });
    expect(abandonedOf(process)).toBe(1);
    await process.end();
  });

  it('count once with the handler that ran on before', async () => {
    const process = new ManualProcess({
      timeoutMs: 80,
      maxConcurrency: 1,
      maxAbandoned: 1,
      retry: { limit: 0 },
    });
    const [handler, stop] = [deferred(), deferred()];
    class Slow extends Worker<string> {
      override processItem(): Promise<void> {
        return handler.promise;
      }
      override onStop(): Promise<void> {
        return stop.promise;
      }
    }
    process.register('type', { worker: Slow });
    const paused = process.heard('paused');
    process.offer('type', 'item');
    await process.clock.turn(100);
    handler.resolve();
    await process.clock.turn(100);
    expect(abandonedOf(process)).toBe(1);
    expect(paused).toEqual([]);
    stop.resolve();
    await settle();
    expect(abandonedOf(process)).toBe(0);
    await process.end();
  });
});

describe('a shutdown', () => {
  it.each(['start', 'stop'] as const)('tells which workers did not %s in its time', async (place) => {
    const process = new ManualProcess({ timeoutMs: 0, shutdownTimeoutMs: 1_000, abortGraceMs: 100 });
    const { gates, stopped, Hanging } = hangingAt(place);
    process.register('type', { worker: Hanging, maxAbandoned: 0 });
    process.register('well', { processItem: () => undefined });
    const failed = process.heard('workerFailed');
    const paused = process.heard('paused');
    process.offer('type', 'item');
    process.offer('well', 'item');
    await settle();
    const closing = process.shutdown();
    await process.clock.turn(1_099);
    expect(failed).toEqual([]);
    await process.clock.turn(1);
    await closing;
    expect(failed).toEqual([
      { type: 'type', during: place, error: expect.any(ShutdownError), retryInMs: undefined },
    ]);
    expect(failed[0]!.error.message).toBe('The shutdown did not wait for it any longer');
    expect(process.pool.workerCount()).toBe(0);
    expect(paused).toEqual([]);
    expect(abandonedOf(process)).toBe(1);
    gates[0]!.resolve();
    await settle();
    expect(stopped).toHaveLength(1);
    expect(abandonedOf(process)).toBe(0);
    expect(failed).toHaveLength(1);
  });

  it('leaves no timer behind with a worker that does not stop', async () => {
    const process = new ManualProcess({ timeoutMs: 60_000, shutdownTimeoutMs: 1_000, abortGraceMs: 100 });
    process.register('type', { worker: hangingAt('stop').Hanging });
    process.offer('type', 'item');
    await settle();
    const closing = process.shutdown();
    await process.clock.turn(1_100);
    await closing;
    expect(process.clock.timers).toBe(0);
  });

  it('counts handlers that it left behind until they return', async () => {
    const process = new ManualProcess({ timeoutMs: 0 });
    const gate = deferred();
    process.register('type', { processItem: () => gate.promise });
    process.offer('type', 'item');
    await process.end();
    expect(abandonedOf(process)).toBe(1);
    gate.resolve();
    await settle();
    expect(abandonedOf(process)).toBe(0);
  });
});

describe('pool.shutdown({ force: true })', () => {
  it('waits for nobody, ends the wait of a milder one, and tells of workers that have not stopped', async () => {
    const process = new ManualProcess({ maxConcurrency: 3, scalingThreshold: 1, retry: { limit: 0 } });
    const { Hanging } = hangingAt('stop');
    class MixedUp extends Hanging {
      override processItem(payload?: string): unknown {
        return payload === 'hangs' ? new Promise(() => undefined) : undefined;
      }
    }
    process.register('type', { worker: MixedUp });
    const failed = process.heard('workerFailed');
    await process.distributeWork('type', ['hangs', 'ends', 'ends']);
    await settle();
    const mild = process.pool.shutdown();
    await process.pool.shutdown({ force: true });
    await mild;
    expect(process.pool.workerCount()).toBe(0);
    expect(failed.map(({ during }) => during)).toEqual(['stop', 'stop']);
    expect(process.clock.timers).toBe(0);
  });

  it.each(['processItem', 'processBatch'])('may be called by a %s that returns at once', async (method) => {
    const process = new ManualProcess({ maxConcurrency: 1, batchSize: 1, retry: { limit: 0 } });
    const worked: unknown[] = [];
    let closed: Promise<void> | undefined;
    const handler = (work: unknown) => {
      worked.push(work);
      closed = process.pool.shutdown({ force: true });
    };
    process.register('type', { [method]: handler } as { processItem: typeof handler });
    await process.distributeWork('type', [1, 2]);
    await settle();
    await closed;
    expect(worked).toHaveLength(1);
    expect(process.counts()).toMatchObject({ running: 0, waiting: 2, dead: 0, completed: 0 });
    expect(abandonedOf(process)).toBe(0);
  });
});
