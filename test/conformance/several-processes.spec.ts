import { describe, expect, it } from '@jest/globals';
import { JobCancelledError, type DeadLetter, type ItemContext, type WorkerProcess } from '../../src/index.js';
import { deferred } from '../support/deferred.js';
import { processesOn, redis } from './engines.js';
import { Seen } from './seen.js';

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number);
}

describe('several processes on redis', () => {
  const processes = processesOn(redis);

  function collecting(seen: Seen<number>, options: object = {}): WorkerProcess {
    const process = processes.start();
    process.register('type', { ...options, processItem: (payload: number) => seen.add(payload) });
    return process;
  }

  /** Submits and steers, but has no workers. */
  function withoutWorkers(): WorkerProcess {
    const process = processes.start({ autoStart: false });
    process.register('type', { processItem: () => undefined });
    return process;
  }

  it('share the work, each item done by one', async () => {
    const gate = deferred();
    const all = new Seen<number>();
    const makeWorker = () => {
      const seen = new Seen<number>();
      const process = processes.start({ maxConcurrency: 1 });
      process.register('type', {
        processItem: async (payload: number) => {
          seen.add(payload);
          await gate.promise;
          all.add(payload);
        },
      });
      return seen;
    };
    const one = makeWorker();
    const other = makeWorker();
    const producer = withoutWorkers();
    const jobs = await Promise.all(numbers(20).map(() => producer.distributeWork('type', numbers(100))));
    await Promise.all([one.reach(1), other.reach(1)]);
    gate.resolve();
    for (const job of jobs) expect(await job.completed).toMatchObject({ status: 'completed', done: 100 });
    expect(one.all.length + other.all.length).toBe(2_000);
    expect(all.all).toHaveLength(2_000);
    for (const seen of [one, other]) expect(seen.all.length).toBeGreaterThan(1);
  });

  it('work on what a process submits that has no workers', async () => {
    const producer = withoutWorkers();
    const job = await producer.distributeWork('type', numbers(10));
    const item = await producer.distributeWork('type', 10, { track: true });
    const seen = new Seen<number>();
    collecting(seen);
    expect(await job.completed).toMatchObject({ status: 'completed', done: 10 });
    expect(await item.completed).toMatchObject({ status: 'completed', done: 1 });
    await producer.waitForCompletion('type');
    expect(seen.all).toHaveLength(11);
  });

  it('find a job, and follow it to its end', async () => {
    const producer = withoutWorkers();
    const job = await producer.distributeWork('type', numbers(10));
    const watcher = withoutWorkers();
    const found = await watcher.findJob(job.id);
    expect(found).toMatchObject({ id: job.id, type: 'type' });
    expect(found!.progress()).toMatchObject({ accepted: 10, total: 10, done: 0, failed: 0 });
    collecting(new Seen());
    expect(await found!.completed).toMatchObject({ status: 'completed', total: 10, done: 10 });
    expect((await watcher.findJob(job.id))!.progress()).toMatchObject({ done: 10 });
  });

  it('find a job whose source is still read', async () => {
    const producer = withoutWorkers();
    const rest = deferred();
    async function* source() {
      yield* numbers(5);
      await rest.promise;
      yield 5;
    }
    const job = await producer.distributeWork('type', source());
    const seen = new Seen<number>();
    const worker = collecting(seen);
    await seen.reach(5);
    const found = await worker.findJob(job.id);
    expect(found!.progress()).toMatchObject({ accepted: 5, total: undefined });
    rest.resolve();
    expect(await found!.completed).toMatchObject({ status: 'completed', total: 6, done: 6 });
  });

  it('cancel each other’s jobs', async () => {
    const worker = processes.start({ maxConcurrency: 1 });
    const started = new Seen<number>();
    const aborted = new Seen<unknown>();
    worker.register('type', {
      processItem: async (payload: number, { signal }: ItemContext) => {
        started.add(payload);
        await new Promise<void>((resolve) =>
          signal.addEventListener('abort', () => {
            aborted.add(signal.reason);
            resolve();
          }),
        );
      },
    });
    const job = await worker.distributeWork('type', numbers(1_500));
    await started.reach(1);
    const found = await withoutWorkers().findJob(job.id);
    const cancelledMs = Date.now();
    await found!.cancel();
    const [reason] = await aborted.reach(1);
    expect(reason).toBeInstanceOf(JobCancelledError);
    // Looked at when leases are renewed: every 2 s at the latest, by the design.
    expect(Date.now() - cancelledMs).toBeLessThan(5_000);
    for (const one of [job, found!]) {
      const result = await one.completed;
      expect(result).toMatchObject({ status: 'cancelled', total: 1_500, failed: 0 });
      expect(result.done + result.cancelled).toBe(1_500);
    }
    await worker.waitForCompletion();
    expect(started.all).toEqual([0]);
  });

  it('stop a source that another process reads, when its job is cancelled', async () => {
    const producer = withoutWorkers();
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
    const job = await producer.distributeWork('type', source());
    const found = await withoutWorkers().findJob(job.id);
    await found!.cancel();
    await returned.promise;
    expect(await job.completed).toMatchObject({ status: 'cancelled' });
  });

  it('pause and resume a type for all', async () => {
    const seen = new Seen<number>();
    const worker = collecting(seen);
    const paused = new Seen<unknown>();
    worker.on('paused', paused.add);
    const steering = withoutWorkers();
    await steering.pause('type');
    const job = await steering.distributeWork('type', numbers(10));
    expect(await paused.reach(1)).toEqual([{ type: 'type', reason: 'requested' }]);
    expect(await steering.depth('type')).toMatchObject({ waiting: { items: 10 } });
    expect(seen.all).toEqual([]);
    await withoutWorkers().resume('type');
    expect(await job.completed).toMatchObject({ done: 10 });
  });

  it('see, redrive and discard each other’s dead letters', async () => {
    const worker = processes.start({ retry: { limit: 1, backoffMs: 10 } });
    let isBroken = true;
    const seen = new Seen<{ payload: number; attempt: number }>();
    worker.register('type', {
      processItem: (payload: number, { attempt }: ItemContext) => {
        seen.add({ payload, attempt });
        if (isBroken) throw new RangeError(`bad ${payload}`);
      },
    });
    const job = await worker.distributeWork('type', [0, 1, 2]);
    expect(await job.completed).toMatchObject({ failed: 3 });
    const other = withoutWorkers();
    const letters = await other.deadLetters({ type: 'type' });
    expect(letters.map(({ id }) => id).toSorted()).toEqual([0, 1, 2].map((index) => `${job.id}:${index}`));
    const first = letters.find(({ index }) => index === 0)!;
    expect(first).toMatchObject({ payload: 0, attempts: 2, reason: 'attempts-exhausted' });
    expect(first.error).toMatchObject({ name: 'RangeError', message: 'bad 0' });
    isBroken = false;
    expect(await other.redriveDeadLetters({ ids: [`${job.id}:0`] })).toBe(1);
    expect(await other.discardDeadLetters({ ids: [`${job.id}:1`] })).toBe(1);
    await seen.until((all) => all.length === 7);
    expect(seen.all.at(-1)).toEqual({ payload: 0, attempt: 1 });
    await worker.waitForCompletion();
    expect((await worker.findJob(job.id))!.progress()).toMatchObject({ done: 1, failed: 2 });
    expect((await worker.deadLetters()).map(({ index }) => index)).toEqual([2]);
  });

  it('redrive the same letters at the same time, and put each back once', async () => {
    const worker = processes.start({ retry: { limit: 0 } });
    let isBroken = true;
    const seen = new Seen<number>();
    worker.register('type', {
      processItem: (payload: number) => {
        seen.add(payload);
        if (isBroken) throw new Error('bad');
      },
    });
    const job = await worker.distributeWork('type', numbers(50));
    await job.completed;
    isBroken = false;
    const others = [withoutWorkers(), withoutWorkers()];
    await Promise.all(others.map((other) => other.redriveDeadLetters({ type: 'type' })));
    await worker.waitForCompletion();
    expect(seen.all).toHaveLength(100);
    expect(await worker.deadLetters()).toEqual([]);
    expect((await worker.findJob(job.id))!.progress()).toMatchObject({ done: 50, failed: 0 });
  });

  it('are all paused when the dead letters are too many, and go on together', async () => {
    const options = { maxDeadLetters: 2, retry: { limit: 0 } };
    const makeWorker = () => {
      const process = processes.start();
      process.register('type', {
        ...options,
        processItem: (payload: string) => {
          if (payload === 'bad') throw new Error('bad');
        },
      });
      const told = new Seen<string>();
      process.on('paused', ({ reason }) => told.add(`paused: ${reason}`));
      process.on('resumed', ({ reason }) => told.add(`resumed: ${reason}`));
      return { process, told };
    };
    const workers = [makeWorker(), makeWorker()];
    const letters = new Seen<DeadLetter>();
    for (const { process } of workers) process.on('deadLetter', letters.add);
    const [one, other] = workers as [ReturnType<typeof makeWorker>, ReturnType<typeof makeWorker>];
    const bad = await one.process.distributeWork('type', ['bad', 'bad']);
    await bad.completed;
    for (const { told } of workers) await told.reach(1);
    const good = await one.process.distributeWork('type', ['good']);
    expect(await other.process.depth('type')).toMatchObject({ waiting: { items: 1 }, dead: 2 });
    expect(await other.process.discardDeadLetters({ type: 'type' })).toBe(2);
    expect(await good.completed).toMatchObject({ done: 1 });
    for (const { told } of workers) {
      expect(await told.reach(2)).toEqual(['paused: dead-letters-full', 'resumed: dead-letters-full']);
    }
  });

  it('take in the first of the items with one unique key', async () => {
    const [one, other] = [withoutWorkers(), withoutWorkers()];
    const jobs = await Promise.all(
      [one, other, one, other].map((process, payload) =>
        process.distributeWork('type', payload, { uniqueKey: 'key', track: true }),
      ),
    );
    const seen = new Seen<number>();
    const worker = collecting(seen);
    const results = await Promise.all(jobs.map(({ completed }) => completed));
    const sum = (count: 'done' | 'duplicates') => results.reduce((all, result) => all + result[count], 0);
    expect([sum('done'), sum('duplicates')]).toEqual([1, 3]);
    await worker.waitForCompletion();
    expect(seen.all).toHaveLength(1);
  });

  it('keep the order of a key', async () => {
    let running = 0;
    let most = 0;
    const seen = new Seen<number>();
    const failedOnce = new Set<number>();
    for (let count = 0; count < 3; count++) {
      processes.start().register('type', {
        processItem: async (payload: number) => {
          most = Math.max(most, ++running);
          try {
            await new Promise((resolve) => setImmediate(resolve));
            if (payload % 5 === 0 && !failedOnce.has(payload)) {
              failedOnce.add(payload);
              throw new Error('again');
            }
            seen.add(payload);
          } finally {
            running--;
          }
        },
      });
    }
    const producer = withoutWorkers();
    const job = await producer.distributeWork('type', numbers(20), { orderKey: 'key' });
    expect(await job.completed).toMatchObject({ done: 20 });
    expect(seen.all).toEqual(numbers(20));
    expect(most).toBe(1);
  });

  it('keep a rate limit together', async () => {
    const starts = new Seen<number>();
    const max = 50;
    for (let count = 0; count < 2; count++) {
      processes.start({ maxConcurrency: 4 }).register('type', {
        rateLimit: { max, durationMs: 1_000 },
        processItem: () => starts.add(performance.now()),
      });
    }
    // Those of a process without workers are cut as those of the others: what is leased together starts together.
    const producer = processes.start({ autoStart: false });
    producer.register('type', { rateLimit: { max, durationMs: 1_000 }, processItem: () => undefined });
    await producer.distributeWork('type', numbers(250));
    const times = await starts.reach(250);
    const allowed = (max * (times.at(-1)! - times[0]!)) / 1_000;
    expect(times.length).toBeLessThanOrEqual(allowed * 1.1 + max / 10);
    expect(times.length).toBeGreaterThanOrEqual(allowed * 0.9);
  });

  it('run each other’s retries', async () => {
    const one = processes.start({ maxConcurrency: 1, retry: { limit: 1, backoffMs: 60_000 } });
    const failed = new Seen<string>();
    one.register('type', {
      processItem: (_: number, { id }: ItemContext) => {
        failed.add(id);
        throw new Error('again');
      },
    });
    await one.distributeWork('type', [0, 1]);
    await failed.reach(2);
    await one.shutdown();
    const other = processes.start();
    const seen = new Seen<readonly [string, number]>();
    other.register('type', {
      processItem: (_: number, { id, attempt }: ItemContext) => seen.add([id, attempt]),
    });
    expect(await other.retryFailedItems()).toBe(2);
    await seen.reach(2);
    expect(seen.all).toHaveLength(2);
    expect(new Map(seen.all)).toEqual(new Map(failed.all.map((id) => [id, 2])));
    await other.waitForCompletion();
  });

  it('do not see what lies under another prefix', async () => {
    const producer = withoutWorkers();
    await producer.distributeWork('type', [1]);
    processes.beginTest();
    const elsewhere = withoutWorkers();
    expect(await elsewhere.depth('type')).toMatchObject({ waiting: { items: 0 } });
  });
});
