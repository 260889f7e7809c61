import { describe, expect, it } from '@jest/globals';
import { JobNotTrackedError } from '../../src/bullmq.js';
import {
  InvalidOptionsError,
  UnknownWorkerTypeError,
  type ItemContext,
  type Job,
  type WorkerProcess,
} from '../../src/index.js';
import { deferred } from '../support/deferred.js';
import { engines, memory, processesOn, progressOf, redis } from './engines.js';
import { Seen } from './seen.js';

/** More than travel together. */
const MANY = 2_500;

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number);
}

function* iterated(count: number): Generator<number> {
  for (let number = 0; number < count; number++) yield number;
}

async function* streamed(count: number): AsyncGenerator<number> {
  for (let number = 0; number < count; number++) {
    if (number % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    yield number;
  }
}

function collect(process: WorkerProcess, type = 'type'): Seen<number> {
  const seen = new Seen<number>();
  process.register(type, { processItem: (payload: number) => seen.add(payload) });
  return seen;
}

function inOrder(values: readonly number[]): number[] {
  return values.toSorted((a, b) => a - b);
}

describe.each(engines)('submissions on $name', (engine) => {
  const processes = processesOn(engine);

  it('has one item worked on', async () => {
    const process = processes.start();
    const seen = collect(process);
    const job = await process.distributeWork('type', 7);
    expect(await seen.reach(1)).toEqual([7]);
    await process.waitForCompletion();
    expect(job).toMatchObject({ type: 'type', accepted: 1 });
    expect(process.counts('type')).toMatchObject({ completed: 1 });
  });

  it('tells how one tracked item ended', async () => {
    const process = processes.start();
    collect(process);
    const job = await process.distributeWork('type', 7, { track: true });
    expect(await job.completed).toMatchObject({ status: 'completed', total: 1, done: 1, failed: 0 });
  });

  it.each([
    ['an array', numbers],
    ['an iterable', iterated],
    ['an async iterable', streamed],
  ])('has %s worked on, each item once', async (_kind, makeSource) => {
    const process = processes.start();
    const seen = collect(process);
    const job = await process.distributeWork<number>('type', makeSource(MANY));
    expect(await job.completed).toEqual({
      status: 'completed',
      error: undefined,
      accepted: MANY,
      total: MANY,
      done: MANY,
      failed: 0,
      cancelled: 0,
      handedBack: 0,
      duplicates: 0,
    });
    expect(inOrder(seen.all)).toEqual(numbers(MANY));
  });

  it.each([
    ['an array', []],
    ['an iterable', iterated(0)],
    ['an async iterable', streamed(0)],
  ])('ends a job of %s without items', async (_kind, source) => {
    const process = processes.start();
    collect(process);
    const job = await process.distributeWork<number>('type', source);
    expect(await job.completed).toMatchObject({ status: 'completed', total: 0, done: 0 });
  });

  it('starts nothing late: items of a stream run while it is read', async () => {
    const process = processes.start();
    const seen = collect(process);
    const rest = deferred();
    async function* source() {
      yield 1;
      await rest.promise;
      yield 2;
    }
    const job = await process.distributeWork<number>('type', source());
    expect(await seen.reach(1)).toEqual([1]);
    rest.resolve();
    expect(await job.completed).toMatchObject({ total: 2, done: 2 });
  });

  it.each([
    [
      'an iterable',
      function* () {
        yield 1;
        yield 2;
        throw new Error('the source broke');
      },
    ],
    [
      'an async iterable',
      async function* () {
        yield 1;
        await Promise.resolve();
        yield 2;
        throw new Error('the source broke');
      },
    ],
  ])(
    'ends a job as source-failed when %s throws, and works on what came before',
    async (_kind, makeSource) => {
      const process = processes.start();
      const seen = collect(process);
      const job = await process.distributeWork<number>('type', makeSource());
      const result = await job.completed;
      expect(result).toMatchObject({ status: 'source-failed', total: 2, done: 2, failed: 0 });
      expect(result.error?.message).toBe('the source broke');
      expect(inOrder(seen.all)).toEqual([1, 2]);
    },
  );

  it('takes what a thousand callers await, an item each', async () => {
    const process = processes.start();
    const seen = collect(process);
    const jobs = await Promise.all(
      numbers(1_000).map((number) => process.distributeWork<number>('type', number)),
    );
    await seen.reach(1_000);
    await process.waitForCompletion('type');
    expect(inOrder(seen.all)).toEqual(numbers(1_000));
    expect(new Set(jobs.map(({ id }) => id)).size).toBe(1_000);
  });

  it('gives each item the id of its job and its place', async () => {
    const process = processes.start();
    const seen = new Seen<Pick<ItemContext, 'id' | 'index' | 'jobId' | 'type' | 'attempt'>>();
    process.register('type', {
      processItem: (_: string, { id, index, jobId, type, attempt }: ItemContext) =>
        seen.add({ id, index, jobId, type, attempt }),
    });
    const job = await process.distributeWork('type', ['a', 'b', 'c']);
    await job.completed;
    expect(seen.all.toSorted((a, b) => a.index - b.index)).toEqual(
      [0, 1, 2].map((index) => ({
        id: `${job.id}:${index}`,
        index,
        jobId: job.id,
        type: 'type',
        attempt: 1,
      })),
    );
  });

  it('gives a batch handler items in batches of at most batchSize', async () => {
    const process = processes.start();
    const sizes: number[] = [];
    process.register('type', {
      batchSize: 10,
      processBatch: (payloads: readonly number[]) => void sizes.push(payloads.length),
    });
    const job = await process.distributeWork('type', numbers(95));
    expect(await job.completed).toMatchObject({ done: 95 });
    expect(Math.max(...sizes)).toBeLessThanOrEqual(10);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(95);
  });

  it('works on several types, each by its own worker', async () => {
    const process = processes.start();
    const one = collect(process, 'one');
    const other = collect(process, 'other');
    const jobs = await Promise.all([
      process.distributeWork('one', [1, 2]),
      process.distributeWork('other', [3, 4]),
    ]);
    await Promise.all(jobs.map(({ completed }) => completed));
    expect([inOrder(one.all), inOrder(other.all)]).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  it('refuses unknown types and wrong options', async () => {
    const process = processes.start();
    collect(process);
    await expect(process.distributeWork('other', 1)).rejects.toThrow(UnknownWorkerTypeError);
    await expect(process.distributeWork('type', 1, { delayMs: -1 })).rejects.toThrow(InvalidOptionsError);
    await expect(process.distributeWork('type', 1, { priority: 'high' })).rejects.toThrow(/priorities: true/);
    await expect(process.distributeWork('type', Promise.resolve(1))).rejects.toThrow(InvalidOptionsError);
  });

  it('takes more from a handler whose own queue is full', async () => {
    const process = processes.start({ maxConcurrency: 1 });
    const seen = new Seen<number>();
    process.register('type', {
      maxQueueSize: 1,
      processItem: async (payload: number) => {
        if (payload < 10) await process.distributeWork('type', payload + 1, { fromHandler: true });
        seen.add(payload);
      },
    });
    await process.distributeWork('type', 0);
    expect(await seen.reach(11)).toEqual(numbers(11));
  });

  it('takes all of an array that is larger than the queue', async () => {
    const process = processes.start();
    const seen = new Seen<number>();
    process.register('type', { maxQueueSize: 10, processItem: (payload: number) => seen.add(payload) });
    const job = await process.distributeWork('type', numbers(1_000));
    expect(await job.completed).toMatchObject({ done: 1_000 });
    expect(inOrder(seen.all)).toEqual(numbers(1_000));
  });

  it('finds a job that has not ended, with its counts', async () => {
    const process = processes.start({ maxConcurrency: 1 });
    const gate = deferred();
    const started = new Seen<number>();
    process.register('type', {
      processItem: async (payload: number) => {
        started.add(payload);
        if (payload === 1) await gate.promise;
      },
    });
    const job = await process.distributeWork('type', [0, 1, 2]);
    await started.reach(2);
    const found = await process.findJob(job.id);
    expect(found).toMatchObject({ id: job.id, type: 'type' });
    expect(found!.progress()).toMatchObject({ accepted: 3, total: 3, failed: 0, cancelled: 0 });
    gate.resolve();
    expect(await found!.completed).toMatchObject({ status: 'completed', done: 3 });
    expect(await job.completed).toMatchObject({ status: 'completed', done: 3 });
  });

  it('finds neither unknown jobs nor those of one item that nobody tracks', async () => {
    const process = processes.start();
    collect(process);
    await process.pause('type');
    const job = await process.distributeWork('type', 1);
    expect(await process.findJob(job.id)).toBeUndefined();
    expect(await process.findJob('unknown-1')).toBeUndefined();
    expect(await process.findJob('unknown')).toBeUndefined();
    expect(await process.findJob('')).toBeUndefined();
  });

  it('tells the end of each job that is tracked, once', async () => {
    const process = processes.start();
    collect(process);
    const ended = new Seen<Job>();
    process.on('jobEnded', ended.add);
    await process.distributeWork('type', 0);
    const array = await process.distributeWork('type', [1, 2]);
    const item = await process.distributeWork('type', 3, { track: true });
    const stream = await process.distributeWork('type', iterated(3));
    await Promise.all([array.completed, item.completed, stream.completed, ended.reach(3)]);
    await process.waitForCompletion();
    expect(ended.all.map(({ id }) => id).toSorted()).toEqual([array.id, item.id, stream.id].toSorted());
  });

  it('waits for all that waits, runs or is delayed', async () => {
    const process = processes.start();
    const seen = collect(process);
    const failed = new Seen<number>();
    process.register('failing', {
      processItem: (payload: number, { attempt }: ItemContext) => {
        if (attempt < 3) throw new Error('not yet');
        failed.add(payload);
      },
    });
    await process.distributeWork('type', numbers(10));
    await process.distributeWork('type', 10, { delayMs: 100 });
    await process.distributeWork('failing', [1, 2]);
    await process.distributeWork('type', streamed(5));
    await process.waitForCompletion();
    expect(seen.all).toHaveLength(16);
    expect(failed.all).toHaveLength(2);
  });

  it('waits for one type alone', async () => {
    const process = processes.start();
    const seen = collect(process);
    collect(process, 'paused');
    await process.pause('paused');
    await process.distributeWork('paused', 1);
    await process.distributeWork('type', [1, 2]);
    await process.waitForCompletion('type');
    expect(seen.all).toHaveLength(2);
    await expect(process.waitForCompletion('unknown')).rejects.toThrow(UnknownWorkerTypeError);
  });

  it('tells how many items wait, are delayed, run and are dead', async () => {
    const process = processes.start({ maxConcurrency: 1, retry: { limit: 0 } });
    const gate = deferred();
    const started = new Seen<string>();
    process.register('type', {
      processItem: async (payload: string) => {
        started.add(payload);
        if (payload === 'bad') throw new Error('bad');
        await gate.promise;
      },
    });
    expect(await process.depth('type')).toEqual({
      waiting: { items: 0, chunks: 0, exact: true },
      delayed: { items: 0, chunks: 0, exact: true },
      active: { items: 0, chunks: 0, exact: true },
      dead: 0,
      oldestAgeMs: undefined,
    });
    const bad = await process.distributeWork('type', ['bad']);
    await bad.completed;
    await process.distributeWork('type', 'runs', { track: true });
    await started.reach(2);
    await process.pause('type');
    await process.distributeWork('type', ['a', 'b', 'c']);
    await process.distributeWork('type', ['later', 'later'], { delayMs: 60_000 });
    expect(await process.depth('type')).toMatchObject({
      waiting: { items: 3, exact: true },
      delayed: { items: 2, exact: true },
      active: { items: 1, exact: true },
      dead: 1,
    });
    await expect(process.depth('unknown')).rejects.toThrow(UnknownWorkerTypeError);
    gate.resolve();
  });

  it('tells what a handler reports of its progress', async () => {
    const process = processes.start();
    const told = new Seen<unknown>();
    process.on('progress', told.add);
    process.register('type', {
      processItem: (_: number, context: ItemContext) => context.reportProgress({ percent: 50 }),
    });
    const job = await process.distributeWork('type', [1]);
    await job.completed;
    expect(told.all).toEqual([{ type: 'type', itemId: `${job.id}:0`, progress: { percent: 50 } }]);
  });

  it('counts a job by what became of its items', async () => {
    const process = processes.start({ retry: { limit: 0 } });
    process.register('type', {
      processItem: (payload: number) => {
        if (payload % 10 === 0) throw new Error('every tenth');
      },
    });
    const job = await process.distributeWork('type', numbers(100));
    expect(await job.completed).toMatchObject({
      status: 'completed-with-failures',
      total: 100,
      done: 90,
      failed: 10,
    });
    expect(await progressOf(process, job)).toMatchObject({ done: 90, failed: 10 });
    expect(process.counts('type')).toMatchObject({ completed: 90, dead: 10 });
    expect(process.totalItemsProcessed).toBe(100);
  });
});

describe('submissions on memory alone', () => {
  const processes = processesOn(memory);

  it('tells how one item ended that nobody tracks', async () => {
    const process = processes.start();
    collect(process);
    const job = await process.distributeWork('type', 7);
    expect(await job.completed).toMatchObject({ status: 'completed', total: 1, done: 1 });
  });

  it('offers an item', async () => {
    const process = processes.start();
    const seen = collect(process);
    expect(process.offer('type', 1)).toBe(true);
    expect(await seen.reach(1)).toEqual([1]);
  });

  it('says that nothing outlives the process', async () => {
    const process = processes.start();
    expect(process.isDurable).toBe(false);
    expect(await process.findRisks()).toHaveLength(1);
  });
});

describe('submissions on redis alone', () => {
  const processes = processesOn(redis);

  it('does not know how one item ended that nobody tracks', async () => {
    const process = processes.start();
    collect(process);
    const job = await process.distributeWork('type', 7);
    expect(() => job.completed).toThrow(JobNotTrackedError);
    await expect(job.cancel()).rejects.toThrow(JobNotTrackedError);
  });

  it('offers nothing', () => {
    const process = processes.start();
    collect(process);
    expect(() => process.offer('type', 1)).toThrow(/distributeWork/);
  });

  it('says that work outlives the process', () => {
    expect(processes.start().isDurable).toBe(true);
  });
});
