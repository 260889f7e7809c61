import { describe, expect, it, jest } from '@jest/globals';
import { ProcessClosedError } from '../../../src/core/errors.js';
import type { ItemContext } from '../../../src/core/item-context.js';
import { deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { ManualProcess } from '../../support/manual-process.js';
import { start } from './ending-process.js';

describe('shutdown and submissions', () => {
  it('takes what handlers submit while it works the queues off, from one type to the next and back', async () => {
    const { process, unfinished } = start({ maxConcurrency: 4 });
    const failed = process.heard('deadLetter');
    const ended: string[] = [];
    const chain = (next: string | undefined) => ({
      processItem: async (payload: number) => {
        await settle();
        if (next !== undefined) await process.distributeWork(next, payload, { fromHandler: true });
        else ended.push(`${payload}`);
      },
      retry: { limit: 0 },
    });
    process.register('c', chain(undefined));
    process.register('a', chain('b'));
    process.register('b', chain('c'));
    await process.distributeWork('a', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    await process.shutdown();
    expect(ended).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9', '10']);
    expect(unfinished).toEqual([]);
    expect(failed).toEqual([]);
    await expect(process.distributeWork('a', 1, { fromHandler: true })).rejects.toThrow(ProcessClosedError);
  });

  it('hands an item back whose handler submits in vain, and counts no attempt', async () => {
    const { process, unfinished } = start({ maxConcurrency: 4 });
    const failed = process.heard('deadLetter');
    process.register('b', { processItem: () => undefined });
    process.register('a', {
      processItem: async (payload: number) => {
        await settle();
        await process.distributeWork('b', payload);
      },
      retry: { limit: 0 },
    });
    process.register('batch', {
      processBatch: async (payloads: readonly number[], context) => {
        await settle();
        for (let place = 0; place < payloads.length; place += 2) {
          await process.distributeWork('b', place).catch((error: unknown) => context.fail(place, error));
        }
      },
      retry: { limit: 0 },
    });
    const job = await process.distributeWork('a', [1, 2]);
    const batch = await process.distributeWork('batch', [1, 2, 3]);
    await process.shutdown();
    expect(failed).toEqual([]);
    expect(
      unfinished.map(({ type, payload, attempts }) => `${type} ${String(payload)} ${attempts}`).toSorted(),
    ).toEqual(['a 1 0', 'a 2 0', 'batch 1 0', 'batch 3 0']);
    expect(process.counts('a')).toMatchObject({ handedBack: 2, failedAttempts: 0 });
    expect(await job.completed).toMatchObject({ status: 'interrupted', handedBack: 2 });
    expect(await batch.completed).toMatchObject({ status: 'interrupted', handedBack: 2, done: 1 });
  });

  it('takes no stream from a handler, and nothing once it aborts', async () => {
    const { process, unfinished } = start();
    const refusals: unknown[] = [];
    const submit = async (source: unknown) => {
      await process.distributeWork('type', source, { fromHandler: true }).catch((error: unknown) => {
        refusals.push(error);
      });
    };
    process.register('a', {
      processItem: async (_: number, { signal }: ItemContext) => {
        await settle();
        await submit([1].values());
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        await submit([1]);
      },
    });
    await process.distributeWork('a', 1);
    const closing = process.shutdown();
    await process.clock.turn(1_200);
    await closing;
    expect(refusals).toEqual([expect.any(ProcessClosedError), expect.any(ProcessClosedError)]);
    expect(unfinished).toEqual([]);
    expect(process.counts()).toMatchObject({ submitted: 1, completed: 1 });
  });

  it.each([
    { shutdownTimeoutMs: 100, abortGraceMs: 5_000 },
    { shutdownTimeoutMs: 5_000, abortGraceMs: 100 },
  ])('waits for a source that does not answer no longer than either: %p', async (options) => {
    const { process } = start(options);
    const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) };
    await process.distributeWork('type', silent);
    let isClosed = false;
    const closing = process.shutdown().then(() => (isClosed = true));
    await process.clock.turn(99);
    expect(isClosed).toBe(false);
    await process.clock.turn(1);
    await closing;
    expect(process.clock.now()).toBe(100);
  });

  it('takes no more work from its first moment on', async () => {
    const { process } = start();
    const closing = process.shutdown();
    expect(process.offer('type', 'a')).toBe(false);
    await expect(process.distributeWork('type', 'a')).rejects.toThrow(ProcessClosedError);
    await closing;
    expect(process.offer('type', 'a')).toBe(false);
    await expect(process.distributeWork('type', ['a'])).rejects.toThrow(
      'distributeWork(): the worker process is shutting down and takes no more work',
    );
    expect(process.counts().submitted).toBe(0);
  });

  it('rejects a submission that waits for room, and says how much of it was taken', async () => {
    const { process, gate } = start({ maxQueueSize: 2 });
    const finished = process.heard('jobEnded');
    const submitted = process.distributeWork('type', ['waits', 'b', 'c', 'd', 'e']);
    const rejection = submitted.catch((error: unknown) => String(error));
    await settle();
    const closing = process.shutdown();
    gate.resolve();
    await process.clock.turn(1);
    expect(await rejection).toMatch(
      /^ProcessClosedError: distributeWork\(\): 3 items accepted, 2 refused: the worker process is shutting down/,
    );
    await closing;
    expect(finished).toHaveLength(1);
    expect(await finished[0]!.completed).toMatchObject({
      status: 'interrupted',
      accepted: 3,
      done: 3,
      total: 3,
    });
  });

  it('stops reading sources, and takes in what was read: exactly once', async () => {
    const { process, unfinished, gate, handled } = start({ maxQueueSize: 2 });
    let read = 0;
    const end = jest.fn();
    const job = await process.distributeWork(
      'type',
      (async function* () {
        try {
          yield 'waits';
          for (;;) {
            read++;
            yield `${read}`;
          }
        } finally {
          end();
        }
      })(),
    );
    await settle();
    const closing = process.shutdown();
    gate.resolve();
    await process.clock.turn(10);
    await closing;
    expect(end).toHaveBeenCalledTimes(1);
    expect(handled).toEqual(['waits', ...Array.from({ length: read }, (_, i) => `${i + 1}`)]);
    expect(unfinished).toEqual([]);
    expect(await job.completed).toMatchObject({ status: 'interrupted', done: read + 1 });
  });

  it('takes in once what a waiting source had read, when a handler shuts down as its item makes room', async () => {
    const process = new ManualProcess({ maxConcurrency: 1, maxQueueSize: 1 });
    const handled: number[] = [];
    const source = { isLast: false };
    process.register('type', {
      processItem: (payload: number) => {
        handled.push(payload);
        if (payload === 2) {
          source.isLast = true;
          void process.shutdown();
        }
      },
    });
    await process.distributeWork(
      'type',
      (function* () {
        for (let i = 0; !source.isLast; i++) yield i;
      })(),
    );
    await process.end();
    expect(new Set(handled).size).toBe(handled.length);
    expect(process.counts().submitted).toBe(handled.length);
  });

  it('hands back one by one what a slow source gives after the end', async () => {
    const { process, unfinished } = start();
    const gate = deferred();
    const job = await process.distributeWork(
      'type',
      (async function* () {
        await gate.promise;
        yield 'late';
      })(),
    );
    await settle();
    await process.end();
    expect(await job.completed).toMatchObject({ status: 'interrupted', total: 0 });
    gate.resolve();
    await settle();
    expect(unfinished).toMatchObject([{ payload: 'late', attempts: 0 }]);
    expect(process.counts()).toMatchObject({ submitted: 1, handedBack: 1, waiting: 0 });
  });

  it('redrives no dead letter once nobody would work on it', async () => {
    const refusals: unknown[] = [];
    const { process, unfinished } = start({
      retry: { limit: 0 },
      onDeadLetters: async () => {
        try {
          await process.redriveDeadLetters({ type: 'type' });
        } catch (error) {
          refusals.push(error);
        }
      },
    });
    const job = await process.distributeWork('type', ['fails']);
    await process.end();
    expect(refusals).toEqual([expect.any(ProcessClosedError)]);
    await expect(process.redriveDeadLetters({ type: 'type' })).rejects.toThrow('redriveDeadLetters()');
    expect(await process.deadLetters()).toHaveLength(1);
    expect(unfinished).toEqual([]);
    expect(job.progress()).toMatchObject({ failed: 1, handedBack: 0 });
  });

  it('takes nothing of an array whose items shut the process down as they are read', async () => {
    const { process, unfinished } = start();
    const items = ['a'];
    Object.defineProperty(items, 0, { get: () => void process.shutdown() });
    await expect(process.distributeWork('type', items)).rejects.toThrow(ProcessClosedError);
    await process.end();
    expect(unfinished).toEqual([]);
    expect(process.counts()).toMatchObject({ submitted: 0 });
  });
});
