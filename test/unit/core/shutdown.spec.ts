import { describe, expect, it, jest } from '@jest/globals';
import type { DeadLetter } from '../../../src/core/dead-letters.js';
import {
  HandOverTimeLimitError,
  ProcessClosedError,
  RetryLaterError,
  ShutdownError,
} from '../../../src/core/errors.js';
import type { UnfinishedItem } from '../../../src/core/events.js';
import type { ItemContext } from '../../../src/core/item-context.js';
import type { WorkerProcessOptionsInput } from '../../../src/core/options.js';
import { Worker } from '../../../src/core/worker.js';
import { deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { ManualProcess } from '../../support/manual-process.js';

/** A process that keeps what it hands back; its handler does what the payload says. */
function start(options: WorkerProcessOptionsInput = {}) {
  const unfinished: UnfinishedItem[] = [];
  const gate = deferred();
  const handled: string[] = [];
  const process = new ManualProcess({
    maxConcurrency: 1,
    shutdownTimeoutMs: 1_000,
    abortGraceMs: 100,
    timeoutMs: 0,
    onUnfinished: (items) => void unfinished.push(...items),
    ...(options as object),
  });
  process.register('type', {
    processItem: async (payload: string, { signal, attempt }: ItemContext) => {
      handled.push(payload);
      switch (payload) {
        case 'waits':
          return gate.promise;
        case 'heeds its signal':
          return new Promise((_, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason as Error)),
          );
        case 'saves itself':
          return new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        case 'hangs':
          return new Promise(() => undefined);
        case 'fails':
          throw new Error('fails');
        case 'fails once':
          if (attempt === 1) throw new Error('once');
          return undefined;
        default:
          return undefined;
      }
    },
  });
  return { process, unfinished, gate, handled };
}

describe('shutdown', () => {
  it('works off what is queued, retries included, and takes no longer than that', async () => {
    const { process, unfinished, handled } = start({ retry: { limit: 1, backoffMs: 300, jitter: 0 } });
    const job = await process.distributeWork('type', ['a', 'fails once', 'b']);
    const closing = process.shutdown();
    await process.clock.turn(290);
    expect(process.counts()).toMatchObject({ completed: 2, delayed: 1 });
    await process.clock.turn(20);
    await closing;
    expect(handled).toEqual(['a', 'fails once', 'b', 'fails once']);
    expect(await job.completed).toMatchObject({ status: 'completed', done: 3 });
    expect(unfinished).toEqual([]);
    expect(process.clock.timers).toBe(0);
    expect(process.pool.workerCount()).toBe(0);
  });

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

  it('gives the dead letters that are kept to onDeadLetters, and waits for it', async () => {
    const gate = deferred();
    const given: DeadLetter[] = [];
    const { process } = start({
      retry: { limit: 0 },
      onDeadLetters: async (letters) => {
        await gate.promise;
        given.push(...letters);
      },
    });
    const left = process.heard('deadLettersLeft');
    await process.distributeWork('type', ['fails', 'fails', 'a']);
    await settle();
    let isOver = false;
    const closing = process.shutdown().then(() => (isOver = true));
    await settle();
    expect(isOver).toBe(false);
    gate.resolve();
    await closing;
    expect(given.map(({ payload, reason }) => [payload, reason])).toEqual([
      ['fails', 'attempts-exhausted'],
      ['fails', 'attempts-exhausted'],
    ]);
    expect(left).toEqual([]);
  });

  it.each([
    ['nobody takes', undefined],
    ['onDeadLetters fails to take', () => Promise.reject(new Error('no room'))],
  ])('tells of the dead letters that %s', async (_, onDeadLetters) => {
    const { process } = start({ retry: { limit: 0 }, onDeadLetters });
    const left = process.heard('deadLettersLeft');
    const failed = process.heard('callbackFailed');
    await process.distributeWork('type', ['fails', 'a']);
    await settle();
    await process.shutdown();
    expect(left).toMatchObject([{ letters: [{ payload: 'fails' }] }]);
    expect(failed.map(({ event }) => event)).toEqual(onDeadLetters === undefined ? [] : ['onDeadLetters']);
  });

  it('waits for workers that give back what they took, as long as there is time', async () => {
    const gate = deferred();
    const { process } = start({ shutdownTimeoutMs: 5_000, abortGraceMs: 0 });
    let stopped = false;
    class Holder extends Worker<string> {
      override processItem() {
        return undefined;
      }
      override async onStop() {
        await gate.promise;
        stopped = true;
      }
    }
    process.register('holder', { worker: Holder });
    await process.distributeWork('holder', 'item');
    await settle();
    let isOver = false;
    const closing = process.shutdown().then(() => (isOver = true));
    await process.clock.turn(1_500);
    expect(isOver).toBe(false);
    gate.resolve();
    await closing;
    expect(stopped).toBe(true);
    expect(process.clock.now()).toBe(1_500);
  });

  it('does not give away what a source keeps and will give again', async () => {
    const { process, unfinished } = start();
    const kept = await process.distributeWork('type', ['hangs', 'kept'], { keptBySource: true });
    const other = await process.distributeWork('type', ['other']);
    await settle();
    const closing = process.shutdown();
    await process.clock.turn(1_200);
    await closing;
    expect(unfinished.map(({ payload }) => payload)).toEqual(['other']);
    expect(await kept.completed).toMatchObject({ status: 'interrupted', handedBack: 2 });
    expect(await other.completed).toMatchObject({ status: 'interrupted', handedBack: 1 });
    expect(process.counts()).toMatchObject({ submitted: 3, handedBack: 3 });
  });

  it('ends although delays were no numbers', async () => {
    class Broken extends RetryLaterError {
      override readonly delayMs = NaN;
    }
    const { process, unfinished } = start({ retry: { limit: 9, backoffMs: 10_000 }, random: () => NaN });
    process.register('later', {
      processItem: () => {
        throw new Broken(0);
      },
    });
    await process.distributeWork('later', [1, 2]);
    await settle();
    expect(process.counts('later')).toMatchObject({ delayed: 2 });
    await process.shutdown();
    expect(unfinished).toHaveLength(2);
  });

  it('resolves without turning the clock when there is nothing to do', async () => {
    const { process } = start();
    await process.distributeWork('type', ['a']);
    await settle();
    await process.shutdown();
    expect(process.clock.timers).toBe(0);
  });

  it('aborts what runs when its time is over, and hands it back with what waits, once each', async () => {
    const { process, unfinished } = start({ maxConcurrency: 3, scalingThreshold: 1 });
    const job = await process.distributeWork('type', [
      'heeds its signal',
      'saves itself',
      'hangs',
      'rest',
      'rest',
    ]);
    const closing = process.shutdown();
    await process.clock.turn(999);
    expect(process.counts()).toMatchObject({ running: 3, waiting: 2 });
    await process.clock.turn(1);
    expect(process.counts()).toMatchObject({ running: 1, completed: 1, handedBack: 1 });
    await process.clock.turn(100);
    await closing;
    const item = (index: number, payload: string) => ({
      id: `${job.id}:${index}`,
      type: 'type',
      jobId: job.id,
      index,
      payload,
      attempts: 0,
    });
    expect(unfinished).toEqual([
      item(0, 'heeds its signal'),
      item(2, 'hangs'),
      item(3, 'rest'),
      item(4, 'rest'),
    ]);
    expect(await job.completed).toMatchObject({ status: 'interrupted', done: 1, handedBack: 4 });
    expect(process.clock.timers).toBe(0);
    expect(process.counts()).toMatchObject({
      running: 0,
      waiting: 0,
      handedBack: 4,
      dead: 0,
      failedAttempts: 0,
    });
  });

  it('aborts by a ShutdownError', async () => {
    const { process } = start();
    const reasons: unknown[] = [];
    process.register('other', {
      processItem: (_: unknown, { signal }: ItemContext) =>
        new Promise<void>((resolve) =>
          signal.addEventListener('abort', () => {
            reasons.push(signal.reason);
            resolve();
          }),
        ),
    });
    process.offer('other', 1);
    await process.end();
    expect(reasons).toEqual([expect.any(ShutdownError)]);
  });

  it('ignores what a handler does that was left behind', async () => {
    const { process, unfinished, gate } = start();
    await process.distributeWork('type', 'waits');
    await process.end();
    expect(unfinished).toHaveLength(1);
    const before = process.counts();
    gate.resolve();
    await settle();
    expect(process.counts()).toEqual(before);
    expect(unfinished).toHaveLength(1);
  });

  it('hands an item back with the attempts that have failed', async () => {
    const { process, unfinished } = start({ retry: { limit: 5, backoffMs: 100, jitter: 0 } });
    await process.distributeWork('type', 'fails');
    await process.clock.turn(350);
    const closing = process.shutdown();
    await process.clock.turn(2_000);
    await closing;
    // At 0, 100, 300 and 700 ms; the next would be at 1,500, after the deadline at 1,350.
    expect(unfinished).toMatchObject([{ payload: 'fails', attempts: 4 }]);
    expect(process.clock.timers).toBe(0);
  });

  it('does not wait for retries that are due after its deadline', async () => {
    const { process, unfinished } = start({ retry: { limit: 1, backoffMs: 5_000, jitter: 0 } });
    await process.distributeWork('type', ['fails', 'a']);
    await settle();
    await process.shutdown();
    expect(process.clock.now()).toBe(0);
    expect(unfinished).toMatchObject([{ payload: 'fails', attempts: 1 }]);
  });

  it('hands back at once what a paused type holds, its retries included', async () => {
    const { process, unfinished } = start({ retry: { limit: 1, backoffMs: 300, jitter: 0 } });
    await process.distributeWork('type', ['fails', 'a']);
    await settle();
    process.pause('type');
    await process.distributeWork('type', ['b', 'c']);
    await process.shutdown();
    expect(process.clock.now()).toBe(0);
    expect(unfinished.map(({ payload }) => payload)).toEqual(['b', 'c', 'fails']);
  });

  it('waits no longer for a type that is paused meanwhile', async () => {
    const { process, unfinished } = start({ retry: { limit: 1, backoffMs: 500, jitter: 0 } });
    await process.distributeWork('type', ['fails']);
    await settle();
    const closing = process.shutdown();
    await process.clock.turn(100);
    process.pause('type');
    await closing;
    expect(process.clock.now()).toBe(100);
    expect(unfinished).toMatchObject([{ payload: 'fails', attempts: 1 }]);
  });

  it('only lets running items finish without drainOnShutdown', async () => {
    const { process, unfinished, gate, handled } = start({ drainOnShutdown: false });
    const job = await process.distributeWork('type', ['waits', 'a', 'b']);
    await settle();
    const closing = process.shutdown();
    await process.clock.turn(500);
    gate.resolve();
    await settle();
    await closing;
    expect(handled).toEqual(['waits']);
    expect(unfinished.map(({ payload }) => payload)).toEqual(['a', 'b']);
    expect(await job.completed).toMatchObject({ done: 1, handedBack: 2 });
    expect(process.clock.now()).toBe(500);
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

  it('keeps within its time whatever handlers and sources do', async () => {
    const { process } = start({ shutdownTimeoutMs: 1_000, abortGraceMs: 100 });
    await process.distributeWork('type', ['hangs', 'hangs']);
    await process.distributeWork(
      'type',
      (async function* () {
        yield 'a';
        await new Promise(() => undefined);
      })(),
    );
    await settle();
    let isClosed = false;
    const closing = process.shutdown().then(() => (isClosed = true));
    await process.clock.turn(1_099);
    expect(isClosed).toBe(false);
    await process.clock.turn(1);
    expect(isClosed).toBe(true);
    await closing;
  });

  it('aborts at once with a time of 0, and lets go at once with a grace of 0', async () => {
    const { process, unfinished } = start({ shutdownTimeoutMs: 0, abortGraceMs: 0 });
    await process.distributeWork('type', ['hangs', 'a']);
    await settle();
    await process.shutdown();
    expect(unfinished.map(({ payload }) => payload)).toEqual(['hangs', 'a']);
    expect(process.clock.timers).toBe(0);
  });

  it('waits for onUnfinished, and tells the event when nobody took the items', async () => {
    const saved = deferred();
    const { process } = start({ onUnfinished: () => saved.promise, shutdownTimeoutMs: 0 });
    const events = process.heard('unfinished');
    process.pause('type');
    process.offer('type', 'a');
    let isClosed = false;
    const closing = process.shutdown().then(() => (isClosed = true));
    await process.clock.turn(9_999);
    expect(isClosed).toBe(false);
    saved.resolve();
    await closing;
    expect(events).toEqual([]);

    for (const onUnfinished of [undefined, () => Promise.reject(new Error('disk full'))]) {
      const { process: other } = start({ onUnfinished });
      const unfinished = other.heard('unfinished');
      const failed = other.heard('callbackFailed');
      other.pause('type');
      other.offer('type', 'a');
      await other.shutdown();
      expect(unfinished).toMatchObject([{ items: [{ payload: 'a' }] }]);
      expect(failed).toEqual(
        onUnfinished === undefined ? [] : [{ event: 'onUnfinished', error: new Error('disk full') }],
      );
    }
  });

  it('waits for both callbacks no longer than handOverTimeoutMs, and then tells the events what they have', async () => {
    const asked: string[] = [];
    const never = (name: string) => () => {
      asked.push(name);
      return new Promise<void>(() => undefined);
    };
    const { process } = start({
      onUnfinished: never('onUnfinished'),
      onDeadLetters: never('onDeadLetters'),
      handOverTimeoutMs: 300,
    });
    const [failed, unfinished, left] = [
      process.heard('callbackFailed'),
      process.heard('unfinished'),
      process.heard('deadLettersLeft'),
    ];
    process.rejectItem('type', 'bad', new Error('checked'));
    process.pause('type');
    process.offer('type', 'a');
    const closing = process.shutdown();
    await process.clock.turn(299);
    expect(asked).toEqual(['onUnfinished']);
    expect(failed).toEqual([]);
    // The first has used up the time of both; the second is called all the same.
    await process.clock.turn(2);
    await closing;
    expect(asked).toEqual(['onUnfinished', 'onDeadLetters']);
    expect(failed.map(({ event, error }) => [event, error])).toEqual([
      ['onUnfinished', new HandOverTimeLimitError('onUnfinished', 300)],
      ['onDeadLetters', new HandOverTimeLimitError('onDeadLetters', 300)],
    ]);
    expect(unfinished).toMatchObject([{ items: [{ payload: 'a' }] }]);
    expect(left).toMatchObject([{ letters: [{ payload: 'bad' }] }]);
    expect(process.clock.timers).toBe(0);
  });

  it('waits for the callbacks as long as they take with a handOverTimeoutMs of 0', async () => {
    const saved = deferred();
    const { process } = start({ onUnfinished: () => saved.promise, handOverTimeoutMs: 0 });
    process.pause('type');
    process.offer('type', 'a');
    let isClosed = false;
    const closing = process.shutdown().then(() => (isClosed = true));
    await process.clock.turn(24 * 3_600_000);
    expect(isClosed).toBe(false);
    saved.resolve();
    await closing;
  });

  it('does not ask onUnfinished about nothing', async () => {
    const onUnfinished = jest.fn<(items: readonly UnfinishedItem[]) => void>();
    const { process } = start({ onUnfinished });
    await process.distributeWork('type', ['a']);
    await process.end();
    expect(onUnfinished).not.toHaveBeenCalled();
  });

  it('happens once, also when it is asked for again by what it calls', async () => {
    const onUnfinished = jest.fn<(items: readonly UnfinishedItem[]) => void>();
    const { process } = start({ drainOnShutdown: false, onUnfinished });
    const seen: Promise<void>[] = [];
    process.on('scaled', () => seen.push(process.shutdown()));
    await process.distributeWork('type', {
      [Symbol.iterator]: () => ({
        next: () => ({ done: false, value: 'a' }),
        return: () => {
          seen.push(process.shutdown());
          return { done: true, value: undefined };
        },
      }),
    });
    const closing = process.shutdown();
    expect(process.isClosed).toBe(true);
    await process.clock.turn(5_000);
    await closing;
    expect(seen.length).toBeGreaterThanOrEqual(1);
    for (const promise of seen) expect(promise).toBe(closing);
    expect(process.shutdown()).toBe(closing);
    expect(onUnfinished).toHaveBeenCalledTimes(1);
    const items = onUnfinished.mock.calls[0]![0];
    expect(new Set(items.map(({ id }) => id)).size).toBe(items.length);
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

  it('starts no worker again, whoever asks', async () => {
    const { process, gate } = start({ drainOnShutdown: false, maxConcurrency: 3, scalingThreshold: 1 });
    await process.distributeWork('type', ['waits', 'waits', 'a', 'b', 'c', 'd', 'e']);
    await settle();
    const closing = process.shutdown();
    await settle();
    const handledBefore = process.counts().completed;
    process.adjustWorkerCount();
    expect(process.pool.addWorker('type')).toBe(false);
    expect(process.pool.removeWorker('type')).toBe(false);
    process.adjustWorkerCount();
    gate.resolve();
    await settle();
    await closing;
    expect(process.counts().completed).toBe(handledBefore + 2);
    expect(process.clock.now()).toBe(0);
    expect(process.pool.workerCount()).toBe(0);
  });

  it('rejects a submission that waits for room, and says how much of it was taken', async () => {
    const { process, gate } = start({ maxQueueSize: 2 });
    const finished = process.heard('jobFinished');
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

  it('hands back dead letters that are redriven after the end', async () => {
    const { process, unfinished } = start({ retry: { limit: 0 } });
    const job = await process.distributeWork('type', ['fails']);
    await process.end();
    expect(process.deadLetters()).toHaveLength(1);
    expect(process.redriveDeadLetters({ type: 'type' })).toBe(1);
    await settle();
    expect(process.counts()).toMatchObject({ waiting: 0, dead: 0, handedBack: 1 });
    expect(unfinished).toMatchObject([{ payload: 'fails', attempts: 0 }]);
    expect(job.progress()).toMatchObject({ failed: 0, handedBack: 1 });
  });

  it('lets waitForCompletion resolve', async () => {
    const { process } = start();
    process.pause('type');
    await process.distributeWork('type', ['a', 'b']);
    const completion = process.waitForCompletion();
    await process.shutdown();
    await expect(completion).resolves.toBeUndefined();
  });
});

describe('pool.shutdown', () => {
  it('aborts running handlers and waits for them; with force it lets go of them at once', async () => {
    const { process, gate } = start({ retry: { limit: 0 }, maxConcurrency: 2, scalingThreshold: 1 });
    await process.distributeWork('type', ['heeds its signal', 'waits']);
    await settle();
    let isEmpty = false;
    const waiting = process.pool.shutdown().then(() => (isEmpty = true));
    await process.clock.turn(10_000);
    expect(isEmpty).toBe(false);
    expect(process.counts()).toMatchObject({ dead: 1, running: 1 });
    await process.pool.shutdown({ force: true });
    expect(process.counts()).toMatchObject({ dead: 2, running: 0 });
    expect(process.deadLetters()[1]!.error).toBeInstanceOf(ShutdownError);
    await waiting;
    expect(process.pool.workerCount()).toBe(0);
    gate.resolve();
    await process.end();
  });
});
