import { afterEach, describe, expect, it } from '@jest/globals';
import type { Job } from '../../../src/core/job.js';
import type { WorkerProcessOptionsInput } from '../../../src/core/options.js';
import { WorkerProcess } from '../../../src/core/worker-process.js';
import { deferred } from '../../support/deferred.js';

// What `npm run bench:core` puts a process through, with everything checked that the speed must not cost.

const MANY = 100_000;

/** The options of the benchmark, and its listeners. */
function start(options: WorkerProcessOptionsInput = {}): WorkerProcess {
  const process = new WorkerProcess({
    maxConcurrency: 10,
    maxQueueSize: 20_000_000,
    timeoutMs: 30_000,
    retry: { limit: 3, backoffMs: 10 },
    ...(options as object),
  });
  process.on('deadLetter', () => undefined);
  process.on('retry', () => undefined);
  started.push(process);
  return process;
}

const started: WorkerProcess[] = [];
const watches: (() => void)[] = [];
afterEach(async () => {
  for (const stop of watches.splice(0)) stop();
  for (const process of started.splice(0)) await process.shutdown();
});

/** Checks the law of accounts and the limits at each turn of the event loop until it is told to stop. */
function watch(process: WorkerProcess, { maxQueueSize, maxConcurrency }: Record<string, number>) {
  let looks = 0;
  let isOver = false;
  const look = () => {
    if (isOver) return;
    const { submitted, ...parts } = process.counts();
    const { completed, dead, cancelled, handedBack, waiting, delayed, running } = parts;
    expect(completed + dead + cancelled + handedBack + waiting + delayed + running).toBe(submitted);
    expect(waiting).toBeLessThanOrEqual(maxQueueSize!);
    expect(running).toBeLessThanOrEqual(maxConcurrency!);
    expect(process.pool.workerCount()).toBeLessThanOrEqual(maxConcurrency!);
    looks++;
    setImmediate(look);
  };
  const stop = () => {
    isOver = true;
    return looks;
  };
  watches.push(stop);
  look();
  return stop;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

const handlers = [
  ['an asynchronous', (settle: (item: number) => void) => async (item: number) => settle(item)],
  ['a synchronous', (settle: (item: number) => void) => (item: number) => settle(item)],
] as const;

describe.each(handlers)('under the load of the benchmark, %s handler', (_, makeHandler) => {
  it('is given each item once, in order with one worker, within the bounds, by the law', async () => {
    const process = start({ maxConcurrency: 1 });
    let next = 0;
    let wrong = 0;
    const done = deferred();
    const processItem = makeHandler((item) => {
      if (item !== next++) wrong++;
      if (next === MANY) done.resolve();
    });
    process.register('type', { processItem });
    const stop = watch(process, { maxQueueSize: 20_000_000, maxConcurrency: 1 });
    for (let item = 0; item < MANY; item++) if (!process.offer('type', item)) wrong++;
    await done.promise;
    await process.waitForCompletion();
    expect(stop()).toBeGreaterThan(2);
    expect(wrong).toBe(0);
    expect(process.counts()).toMatchObject({ submitted: MANY, completed: MANY });
  });

  it('is given each item once at a steady pace of bursts, never more than the bound', async () => {
    const maxQueueSize = 1_000;
    const process = start({ maxQueueSize });
    const seen = new Uint8Array(MANY);
    process.register('type', { processItem: makeHandler((item) => void seen[item]!++) });
    const stop = watch(process, { maxQueueSize, maxConcurrency: 10 });
    let refused = 0;
    for (let item = 0; item < MANY;) {
      while (item < MANY && process.offer('type', item)) item++;
      refused++;
      await turn();
    }
    await process.waitForCompletion();
    stop();
    expect(refused).toBeGreaterThan(MANY / maxQueueSize / 2);
    expect(seen.every((count) => count === 1)).toBe(true);
  });

  it('gets nothing more of a job that was cancelled in the midst of it', async () => {
    const process = start();
    let handled = 0;
    let job: Job | undefined;
    const processItem = makeHandler(() => {
      if (++handled === MANY / 2) void job!.cancel();
    });
    process.register('type', { processItem });
    const stop = watch(process, { maxQueueSize: 20_000_000, maxConcurrency: 10 });
    void process.pause('type');
    job = await process.distributeWork(
      'type',
      Array.from({ length: MANY }, (__, index) => index),
    );
    void process.resume('type');
    const result = await job.completed;
    stop();
    expect(handled).toBe(MANY / 2);
    expect(result.status).toBe('cancelled');
    expect(result.done + result.cancelled).toBe(MANY);
  });
});

describe('under the load of the benchmark', () => {
  it('a handler that hangs is timed out and replaced, and takes nothing along', async () => {
    const process = start({ timeoutMs: 100, retry: { limit: 0 } });
    const retired = deferred<readonly string[]>();
    process.on('workerRetired', ({ itemIds }) => retired.resolve(itemIds));
    process.register('type', {
      processItem: async (item: number) => {
        if (item === MANY / 2) await new Promise(() => undefined);
      },
    });
    const stop = watch(process, { maxQueueSize: 20_000_000, maxConcurrency: 10 });
    const job = await process.distributeWork(
      'type',
      Array.from({ length: MANY }, (_, index) => index),
    );
    const { done, failed } = await job.completed;
    stop();
    expect({ done, failed }).toEqual({ done: MANY - 1, failed: 1 });
    expect(await retired.promise).toEqual([`${job.id}:${MANY / 2}`]);
    expect(await process.deadLetters()).toMatchObject([{ payload: MANY / 2, error: { code: 'TIME_LIMIT' } }]);
  });

  it('a type with three items is done long before one with all the others', async () => {
    const process = start();
    let manyDone = 0;
    process.register('many', { processItem: async () => void manyDone++ });
    process.register('few', { processItem: async () => undefined });
    const many = await process.distributeWork(
      'many',
      Array.from({ length: MANY }, (_, index) => index),
    );
    const few = await process.distributeWork('few', [1, 2, 3]);
    await few.completed;
    expect(manyDone).toBeLessThan(MANY / 2);
    expect(await many.completed).toMatchObject({ done: MANY });
  });

  it('items that fail once come back, and each succeeds once', async () => {
    const process = start({ retry: { limit: 3, backoffMs: 1 } });
    const seen = new Uint8Array(MANY);
    process.register('type', {
      processItem: async (item: number, { attempt }) => {
        if (item % 10 === 0 && attempt === 1) throw FAILURE;
        seen[item]!++;
      },
    });
    const stop = watch(process, { maxQueueSize: 20_000_000, maxConcurrency: 10 });
    const job = await process.distributeWork(
      'type',
      Array.from({ length: MANY }, (_, index) => index),
    );
    expect(await job.completed).toMatchObject({ done: MANY, failed: 0 });
    stop();
    expect(seen.every((count) => count === 1)).toBe(true);
    expect(process.counts().failedAttempts).toBe(MANY / 10);
  });

  const FAILURE = new Error('fails once');
});
