import { describe, expect, it } from '@jest/globals';
import { ProcessClosedError, ShutdownError } from '../../../src/core/errors.js';
import type { UnfinishedItem } from '../../../src/core/events.js';
import type { ItemContext } from '../../../src/core/item-context.js';
import type { WorkerProcessOptionsInput } from '../../../src/core/options.js';
import { Worker } from '../../../src/core/worker.js';
import { deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { ManualProcess } from '../../support/manual-process.js';

/** A process that keeps what it hands back; the item `heeds` fails when its signal aborts, all others run until let go. */
function start(options: WorkerProcessOptionsInput = {}) {
  const unfinished: UnfinishedItem[] = [];
  const reasons: unknown[] = [];
  const gate = deferred();
  const process = new ManualProcess({
    maxConcurrency: 2,
    scalingThreshold: 1,
    shutdownTimeoutMs: 1_000,
    abortGraceMs: 100,
    timeoutMs: 0,
    retry: { limit: 0 },
    onUnfinished: (items) => void unfinished.push(...items),
    ...(options as object),
  });
  process.register('type', {
    processItem: (payload: string, { signal }: ItemContext) => {
      if (payload !== 'heeds') return gate.promise;
      return new Promise((_, reject) =>
        signal.addEventListener('abort', () => {
          reasons.push(signal.reason);
          reject(signal.reason as Error);
        }),
      );
    },
  });
  return { process, unfinished, reasons, gate };
}

describe('pool.shutdown', () => {
  it('aborts running handlers and waits for them; with force it lets go of them at once', async () => {
    const { process, reasons, gate } = start();
    await process.distributeWork('type', ['heeds', 'waits']);
    await settle();
    let isEmpty = false;
    const waiting = process.pool.shutdown().then(() => (isEmpty = true));
    await process.clock.turn(10_000);
    expect(isEmpty).toBe(false);
    expect(reasons).toEqual([expect.any(ShutdownError)]);
    expect(process.counts()).toMatchObject({ waiting: 1, running: 1 });
    await process.pool.shutdown({ force: true });
    expect(process.counts()).toMatchObject({ waiting: 2, running: 0 });
    await waiting;
    expect(process.pool.workerCount()).toBe(0);
    gate.resolve();
    await process.end();
  });

  it('costs no item an attempt: what it made fail waits again, and a shutdown hands it back, once each', async () => {
    const { process, unfinished } = start();
    const job = await process.distributeWork('type', ['heeds', 'waits', 'not begun']);
    await settle();
    void process.pool.shutdown();
    await process.pool.shutdown({ force: true });
    expect(process.counts()).toMatchObject({ waiting: 3, dead: 0, failedAttempts: 0 });
    await process.end();
    expect(unfinished.map(({ payload, attempts }) => [payload, attempts])).toEqual([
      ['heeds', 0],
      ['waits', 0],
      ['not begun', 0],
    ]);
    expect(await job.completed).toMatchObject({ status: 'interrupted', handedBack: 3 });
  });

  it('costs none an attempt whose handler submits in vain', async () => {
    const { process, unfinished } = start({ retry: { limit: 3 } });
    const begun = deferred();
    const gate = deferred();
    process.register('submits', {
      processItem: async () => {
        begun.resolve();
        await gate.promise;
        await process.distributeWork('type', 'more', { fromHandler: true });
      },
    });
    await process.distributeWork('submits', ['one']);
    await begun.promise;
    const ended = process.pool.shutdown();
    gate.resolve();
    await ended;
    expect(process.counts('submits')).toMatchObject({ waiting: 1, delayed: 0, failedAttempts: 0 });
    await process.end();
    expect(unfinished).toMatchObject([{ type: 'submits', payload: 'one', attempts: 0 }]);
  });

  it('costs none an attempt either when the process is shut down while the pool ends', async () => {
    const { process, unfinished } = start();
    const gate = deferred();
    process.register('stubborn', { processItem: () => gate.promise });
    const job = await process.distributeWork('stubborn', ['one']);
    await settle();
    void process.pool.shutdown();
    const closing = process.shutdown();
    await settle();
    gate.reject(new Error('aborted'));
    await process.clock.turn(1_000);
    await closing;
    expect(await job.completed).toMatchObject({ status: 'interrupted', handedBack: 1, failed: 0 });
    expect(unfinished).toMatchObject([{ payload: 'one', attempts: 0 }]);
    expect(process.counts()).toMatchObject({ dead: 0, failedAttempts: 0 });
  });

  it('counts one as cancelled whose job was cancelled before it failed', async () => {
    const { process, unfinished } = start();
    const job = await process.distributeWork('type', ['waits']);
    await settle();
    const ended = process.pool.shutdown();
    void job.cancel();
    await process.pool.shutdown({ force: true });
    await ended;
    expect(await job.completed).toMatchObject({ status: 'cancelled', cancelled: 1 });
    await process.end();
    expect(unfinished).toEqual([]);
  });

  it('redrives nothing any more', async () => {
    const { process } = start();
    await process.rejectItem('type', 'bad', new Error('bad'));
    await process.pool.shutdown();
    await expect(process.redriveDeadLetters({ type: 'type' })).rejects.toThrow(ProcessClosedError);
    await process.end();
  });

  it('ends the wait of a shutdown that works the queues off: nobody does any more', async () => {
    const { process, unfinished } = start({ shutdownTimeoutMs: 50_000 });
    await process.distributeWork('type', ['heeds', 'heeds', 'not begun']);
    await settle();
    const closing = process.shutdown();
    await settle();
    await process.pool.shutdown();
    await closing;
    expect(process.clock.now()).toBe(0);
    expect(unfinished.map(({ payload, attempts }) => [payload, attempts])).toEqual([
      ['heeds', 0],
      ['heeds', 0],
      ['not begun', 0],
    ]);
    await process.end();
  });

  it.each([['item'], ['batch']] as const)(
    'by a listener that is told of the attempt settles no %s twice',
    async (mode) => {
      const process = new ManualProcess({ maxConcurrency: 1 });
      const processed: unknown[] = [];
      const definition =
        mode === 'item'
          ? { processItem: (payload: unknown) => void processed.push(payload) }
          : { processBatch: (payloads: unknown[]) => void processed.push(...payloads), batchSize: 1 };
      process.register('type', definition as { processItem: () => void });
      process.on('attempt', () => void process.pool.shutdown({ force: true }));
      const job = await process.distributeWork('type', ['one', 'two']);
      await settle();
      expect(processed).toEqual(['one']);
      expect(process.counts()).toMatchObject({ completed: 1, waiting: 1, running: 0 });
      await process.end();
      expect(await job.completed).toMatchObject({ done: 1, handedBack: 1 });
    },
  );

  it('leaves no timer of a worker whose handler returns later and whose stop hangs', async () => {
    const gate = deferred();
    const stopping = deferred();
    const process = new ManualProcess({
      maxConcurrency: 1,
      timeoutMs: 30_000,
      abortGraceMs: 0,
      shutdownTimeoutMs: 0,
    });
    const failures = process.heard('workerFailed');
    process.register('type', {
      worker: class extends Worker {
        override processItem() {
          return gate.promise;
        }
        override onStop() {
          stopping.resolve();
          return new Promise<void>(() => undefined);
        }
      },
    });
    await process.distributeWork('type', ['one']);
    await settle();
    await process.shutdown();
    gate.resolve();
    await stopping.promise;
    await settle();
    expect(process.clock.timers).toBe(0);
    expect(failures).toMatchObject([{ type: 'type', during: 'stop' }]);
  });
});
