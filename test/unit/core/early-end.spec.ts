import { describe, expect, it, jest } from '@jest/globals';
import { ProcessClosedError } from '../../../src/core/errors.js';
import { Worker } from '../../../src/core/worker.js';
import { BreakingClock } from '../../support/breaking-clock.js';
import { deferred } from '../../support/deferred.js';
import { Gates } from '../../support/gates.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ timeoutMs: 0, maxConcurrency: 1, shutdownTimeoutMs: 1_000, abortGraceMs: 100 });

/** A source whose next item does not come; it answers with its end when it is told to. */
function silentSource() {
  const end = deferred<{ done: true; value: undefined }>();
  const close = jest.fn(async () => {
    end.resolve({ done: true, value: undefined });
    return end.promise;
  });
  return { close, source: { [Symbol.asyncIterator]: () => ({ next: () => end.promise, return: close }) } };
}

describe('the end of the pool by itself', () => {
  it('stops the sources that are read, and their jobs end', async () => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    const { close, source } = silentSource();
    const job = await process.distributeWork('type', source);
    await process.pool.shutdown();
    expect(close).toHaveBeenCalledTimes(1);
    await settle();
    expect(job.isEnded).toBe(true);
    expect(await job.completed).toMatchObject({ status: 'interrupted', total: 0 });
  });
});

describe('a handler that ends the pool', () => {
  it.each([0, 1, 2, 3, 4, 5, 6])(
    'is the last one, although its worker breaks down as another is ready %i moments later',
    async (moments) => {
      const clock = new BreakingClock();
      const process = start({ clock, maxConcurrency: 2, scalingThreshold: 1 });
      const handled: string[] = [];
      let made = 0;
      class Ending extends Worker<string> {
        private readonly number = made++;
        override async onStart(): Promise<void> {
          for (let left = this.number * moments; left > 0; left--) await Promise.resolve();
        }
        override processItem(payload: string): void {
          handled.push(payload);
          if (payload !== 'ends') return;
          void process.pool.shutdown({ force: true });
          clock.breaksNext = true;
        }
      }
      process.register('type', { worker: Ending });
      const failed = process.heard('workerFailed');
      await process.distributeWork('type', ['ends', 'waits']);
      await settle();
      expect(failed).toContainEqual(
        expect.objectContaining({ during: 'work', error: new Error('the clock broke') }),
      );
      expect(handled).toEqual(['ends']);
      expect(process.pool.workerCount()).toBe(0);
    },
  );
});

describe('a shutdown that does not work the queues off', () => {
  it('takes nothing more from handlers either, from its first moment on', async () => {
    const process = start({ drainOnShutdown: false });
    const gate = deferred();
    const refusals: unknown[] = [];
    process.register('child', { processItem: () => undefined });
    process.register('parent', {
      processItem: async () => {
        await gate.promise;
        await process.distributeWork('child', [1], { fromHandler: true }).catch((error: unknown) => {
          refusals.push(error);
        });
      },
    });
    await process.distributeWork('parent', [1]);
    await settle();
    const closing = process.shutdown();
    await settle();
    gate.resolve();
    await closing;
    expect(refusals).toEqual([expect.any(ProcessClosedError)]);
    expect(process.counts('child')).toMatchObject({ submitted: 0 });
  });

  it('starts no item while it waits for a source that does not answer', async () => {
    const process = start({ drainOnShutdown: false });
    const gates = new Gates();
    process.register('type', { processItem: gates.processItem });
    const job = await process.distributeWork('type', ['runs', 'waits']);
    const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) };
    await process.distributeWork('type', silent);
    await settle();
    const closing = process.shutdown();
    await process.clock.turn(50);
    await gates.letGo();
    expect(gates.running).toBe(0);
    await process.clock.turn(50);
    await closing;
    expect(await job.completed).toMatchObject({ status: 'interrupted', done: 1, handedBack: 1 });
  });
});
