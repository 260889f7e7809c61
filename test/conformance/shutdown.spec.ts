import { describe, expect, it } from '@jest/globals';
import {
  ProcessClosedError,
  ShutdownError,
  type DeadLetter,
  type ItemContext,
  type UnfinishedItem,
  type WorkerProcess,
} from '../../src/index.js';
import { deferred } from '../support/deferred.js';
import { engines, memory, processesOn, redis } from './engines.js';
import { Seen } from './seen.js';

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number);
}

function inOrder(values: readonly number[]): number[] {
  return values.toSorted((a, b) => a - b);
}

/** Works on numbers; those from 0 to `stuck` stay until they are aborted. */
function stuckWorker(process: WorkerProcess, stuck: number) {
  const started = new Seen<number>();
  const reasons = new Seen<unknown>();
  process.register('type', {
    processItem: async (payload: number, { signal }: ItemContext) => {
      started.add(payload);
      if (payload >= stuck) return;
      await new Promise((_, reject) =>
        signal.addEventListener('abort', () => {
          reasons.add(signal.reason);
          reject(signal.reason as Error);
        }),
      );
    },
  });
  return { started, reasons };
}

describe.each(engines)('shutdown on $name', (engine) => {
  const processes = processesOn(engine);

  it('finishes what runs and what waits', async () => {
    const process = processes.start({ shutdownTimeoutMs: 20_000 });
    const seen = new Seen<number>();
    process.register('type', { processItem: (payload: number) => seen.add(payload) });
    const job = await process.distributeWork('type', numbers(100));
    const completed = job.completed;
    // On redis, what another process could do need not be leased any more: here, all of it is.
    await seen.reach(1);
    await process.shutdown();
    expect(inOrder(seen.all)).toEqual(numbers(100));
    expect(process.isClosed).toBe(true);
    expect(await completed).toMatchObject({ status: 'completed', done: 100 });
  });

  it('finishes what runs, without a drain', async () => {
    const process = processes.start({ shutdownTimeoutMs: 20_000, drainOnShutdown: false, maxConcurrency: 1 });
    const gate = deferred();
    const started = new Seen<number>();
    const ended = new Seen<number>();
    process.register('type', {
      processItem: async (payload: number) => {
        started.add(payload);
        await gate.promise;
        ended.add(payload);
      },
    });
    await process.distributeWork('type', numbers(10));
    await started.reach(1);
    const closed = process.shutdown();
    gate.resolve();
    await closed;
    expect(started.all).toEqual([0]);
    expect(ended.all).toEqual([0]);
  });

  it('aborts what does not end in time', async () => {
    const process = processes.start({ shutdownTimeoutMs: 50, maxConcurrency: 1 });
    const { started, reasons } = stuckWorker(process, 1);
    await process.distributeWork('type', [0]);
    await started.reach(1);
    await process.shutdown();
    expect(reasons.all[0]).toBeInstanceOf(ShutdownError);
    expect(started.all).toEqual([0]);
  });

  it('takes no more work', async () => {
    const process = processes.start();
    process.register('type', { processItem: () => undefined });
    const closed = process.shutdown();
    await expect(process.distributeWork('type', 1)).rejects.toThrow(ProcessClosedError);
    await expect(process.distributeWork('type', [1])).rejects.toThrow(ProcessClosedError);
    expect(() => process.register('other', { processItem: () => undefined })).toThrow(ProcessClosedError);
    await closed;
    await expect(process.distributeWork('type', 1)).rejects.toThrow(ProcessClosedError);
    await expect(process.start()).rejects.toThrow(ProcessClosedError);
    await expect(process.redriveDeadLetters({ type: 'type' })).rejects.toThrow(ProcessClosedError);
    await expect(process.rejectItem('type', 1, new Error('no'))).rejects.toThrow(ProcessClosedError);
  });

  it('is one, however often it is asked for', async () => {
    const process = processes.start();
    const first = process.shutdown();
    expect(process.shutdown()).toBe(first);
    await first;
    await process.shutdown();
  });

  it('ends a process at once that has done nothing', async () => {
    const process = processes.start({ shutdownTimeoutMs: 20_000 });
    process.register('type', { processItem: () => undefined });
    const startMs = Date.now();
    await process.shutdown();
    expect(Date.now() - startMs).toBeLessThan(5_000);
  });

  it('ends a process that was never started', async () => {
    const process = processes.start({ autoStart: false, shutdownTimeoutMs: 20_000 });
    const seen = new Seen<number>();
    process.register('type', { processItem: (payload: number) => seen.add(payload) });
    await process.shutdown();
    expect(seen.all).toEqual([]);
  });

  it('stops reading sources', async () => {
    const process = processes.start({ shutdownTimeoutMs: 20_000 });
    const seen = new Seen<number>();
    process.register('type', { processItem: (payload: number) => seen.add(payload) });
    const returned = deferred();
    async function* source() {
      try {
        for (let number = 0; ; number++) {
          yield number;
          await new Promise((resolve) => setImmediate(resolve));
        }
      } finally {
        returned.resolve();
      }
    }
    await process.distributeWork('type', source());
    await seen.reach(10);
    await process.shutdown();
    await returned.promise;
    expect(process.isClosed).toBe(true);
  });

  it('lets handlers submit more while it works the queues off', async () => {
    const process = processes.start({ shutdownTimeoutMs: 20_000, maxConcurrency: 1 });
    const gate = deferred();
    const started = new Seen<string>();
    process.register('type', {
      processItem: async (payload: string) => {
        started.add(payload);
        if (payload !== 'first') return;
        await gate.promise;
        await process.distributeWork('type', 'second', { fromHandler: true });
      },
    });
    await process.distributeWork('type', 'first');
    await started.reach(1);
    const closed = process.shutdown();
    gate.resolve();
    await closed;
    const left = await depthLeft();
    expect(started.all.length + left).toBe(2);

    async function depthLeft(): Promise<number> {
      if (engine === memory) return 0;
      const other = processes.start({ autoStart: false });
      other.register('type', { processItem: () => undefined });
      return (await other.depth('type')).waiting.items;
    }
  });
});

describe('what a shutdown leaves on memory', () => {
  const processes = processesOn(memory);

  it('is handed back, each item that was not finished, once', async () => {
    const unfinished = new Seen<readonly UnfinishedItem[]>();
    const process = processes.start({
      shutdownTimeoutMs: 50,
      maxConcurrency: 1,
      onUnfinished: unfinished.add,
    });
    const { started } = stuckWorker(process, 10);
    const job = await process.distributeWork('type', numbers(20));
    await started.reach(1);
    await process.shutdown();
    expect(unfinished.all).toHaveLength(1);
    expect(unfinished.all[0]!.map(({ payload }) => payload)).toEqual(numbers(20));
    expect(unfinished.all[0]!.map(({ id }) => id)).toEqual(numbers(20).map((index) => `${job.id}:${index}`));
    expect(await job.completed).toMatchObject({ status: 'interrupted', total: 20, done: 0, handedBack: 20 });
  });

  it('hands dead letters over', async () => {
    const left = new Seen<readonly DeadLetter[]>();
    const process = processes.start({ retry: { limit: 0 }, onDeadLetters: left.add });
    process.register('type', { processItem: () => Promise.reject(new Error('bad')) });
    const job = await process.distributeWork('type', ['a', 'b']);
    await job.completed;
    await process.shutdown();
    expect(left.all.flat().map(({ payload }) => payload)).toEqual(['a', 'b']);
  });
});

describe('what a shutdown leaves on redis', () => {
  const processes = processesOn(redis);

  it('is back in the queue, and done by another process, nothing twice that had finished', async () => {
    const unfinished = new Seen<readonly UnfinishedItem[]>();
    const process = processes.start({
      shutdownTimeoutMs: 100,
      maxConcurrency: 4,
      onUnfinished: unfinished.add,
    });
    const finished: string[] = [];
    const stuck = new Seen<string>();
    process.register('type', {
      scalingThreshold: 1,
      processItem: async (payload: number, { id, signal }: ItemContext) => {
        if (payload % 50 !== 49) {
          finished.push(id);
          return;
        }
        stuck.add(id);
        await new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason as Error)),
        );
      },
    });
    const job = await process.distributeWork('type', numbers(1_500));
    await stuck.reach(4);
    await process.shutdown();
    expect(unfinished.all).toEqual([]);
    expect(finished.length).toBeGreaterThan(0);

    const other = processes.start();
    const again = new Seen<{ id: string; attempt: number }>();
    other.register('type', {
      processItem: (_: number, { id, attempt }: ItemContext) => again.add({ id, attempt }),
    });
    await other.waitForCompletion();
    const ids = [...finished, ...again.all.map(({ id }) => id)];
    expect(ids).toHaveLength(1_500);
    expect(new Set(ids)).toEqual(new Set(numbers(1_500).map((index) => `${job.id}:${index}`)));
    // What a shutdown aborts has not failed.
    for (const { attempt } of again.all) expect(attempt).toBe(1);
    const found = await other.findJob(job.id);
    expect(await found!.completed).toMatchObject({ status: 'completed', total: 1_500, done: 1_500 });
  });

  it('is back in the queue when its handlers never return', async () => {
    const end = deferred();
    const process = processes.start({ shutdownTimeoutMs: 50, abortGraceMs: 50, maxConcurrency: 1 });
    const started = new Seen<number>();
    process.register('type', {
      processItem: async (payload: number) => {
        started.add(payload);
        await end.promise;
      },
    });
    const job = await process.distributeWork('type', [0, 1, 2]);
    await started.reach(1);
    await process.shutdown();
    end.resolve();

    const other = processes.start();
    const seen = new Seen<number>();
    other.register('type', { processItem: (payload: number) => seen.add(payload) });
    expect(inOrder(await seen.reach(3))).toEqual([0, 1, 2]);
    await other.waitForCompletion();
    expect(await (await other.findJob(job.id))!.completed).toMatchObject({ status: 'completed', done: 3 });
  });

  it('keeps what awaits a retry, with its attempts', async () => {
    const process = processes.start({ retry: { limit: 3, backoffMs: 60_000 } });
    const failed = new Seen<number>();
    process.register('type', {
      processItem: (payload: number) => {
        failed.add(payload);
        throw new Error('again');
      },
    });
    await process.distributeWork('type', [0, 1, 2]);
    await failed.reach(3);
    await process.shutdown();

    const other = processes.start();
    const seen = new Seen<number>();
    other.register('type', { processItem: (_: number, { attempt }: ItemContext) => seen.add(attempt) });
    expect(await other.depth('type')).toMatchObject({ delayed: { items: 3 } });
    expect(await other.retryFailedItems('type')).toBe(3);
    expect(await seen.reach(3)).toEqual([2, 2, 2]);
    await other.waitForCompletion();
  });

  it('keeps single items, delayed ones, dead letters and the pause', async () => {
    const process = processes.start({ retry: { limit: 0 } });
    process.register('type', { processItem: () => Promise.reject(new Error('bad')) });
    const dead = await process.distributeWork('type', ['dead']);
    await dead.completed;
    await process.pause('type');
    for (let number = 0; number < 3; number++) await process.distributeWork('type', 'single');
    await process.distributeWork('type', ['later'], { delayMs: 60_000 });
    await process.shutdown();

    const other = processes.start();
    const seen = new Seen<string>();
    other.register('type', { processItem: (payload: string) => seen.add(payload) });
    expect(await other.depth('type')).toMatchObject({
      waiting: { items: 3 },
      delayed: { items: 1 },
      active: { items: 0 },
      dead: 1,
    });
    expect((await other.deadLetters()).map(({ payload }) => payload)).toEqual(['dead']);
    await other.resume('type');
    expect(await seen.reach(3)).toEqual(['single', 'single', 'single']);
  });

  it('tells a job whose source was stopped as interrupted, when the rest is done', async () => {
    const process = processes.start({ shutdownTimeoutMs: 1_000 });
    const seen = new Seen<number>();
    process.register('type', { processItem: (payload: number) => seen.add(payload) });
    const rest = deferred();
    async function* source() {
      yield 1;
      yield 2;
      await rest.promise;
      yield 3;
    }
    const job = await process.distributeWork('type', source());
    await seen.reach(2);
    await process.shutdown();
    rest.resolve();

    const other = processes.start();
    other.register('type', { processItem: (payload: number) => seen.add(payload) });
    const found = await other.findJob(job.id);
    expect(await found!.completed).toMatchObject({ status: 'interrupted', total: 2, done: 2 });
  });
});
