import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import { redisEngine } from '../../../src/bullmq.js';
import { UnrecoverableError, WorkerProcess, type Job } from '../../../src/index.js';
import { deferred } from '../../support/deferred.js';
import { until } from '../../support/until.js';
import { Seen } from '../../conformance/seen.js';
import { DeafProxy } from './deaf-proxy.js';
import { RedisProcess } from './redis-process.js';
import { chunk, closeAtEnd, openStore, Told } from './stores.js';

const LIMIT_MS = 10_000;
const PREFIX = 'short';
const QUEUE = `{${PREFIX}:type}:items`;

let redis: RedisProcess;
beforeEach(async () => {
  redis = await RedisProcess.start();
  closeAtEnd(() => redis.close());
});

interface StartOptions {
  /** Where Redis is for it, when not there. */
  readonly port?: number;
  readonly autoStart?: boolean;
}

function start(
  processItem: (payload: number, context: { readonly signal: AbortSignal }) => unknown,
  { port = redis.port, autoStart = true }: StartOptions = {},
): WorkerProcess {
  const worker = new WorkerProcess({
    autoStart,
    shutdownTimeoutMs: 500,
    abortGraceMs: 100,
    maxConcurrency: 2,
    engine: redisEngine({
      url: `redis://127.0.0.1:${port}`,
      prefix: PREFIX,
      leaseMs: 1_000,
      lapseCheckMs: 500,
      whenDown: 'fail',
    }),
  });
  closeAtEnd(() => worker.shutdown());
  worker.register('type', { processItem });
  return worker;
}

async function startProxy(): Promise<DeafProxy> {
  const proxy = await DeafProxy.before(redis.port);
  closeAtEnd(() => proxy.close());
  return proxy;
}

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));

async function untilTrue(question: (client: Redis) => Promise<unknown>): Promise<void> {
  expect(await until(() => redis.ask(question), Boolean, LIMIT_MS)).toBeTruthy();
}

const numbers = (count: number) => Array.from({ length: count }, (_, number) => number);
const recordOf = (id: string) => `{${PREFIX}:@job:${id}}:@record`;
const waiting = (client: Redis) => client.llen(`${QUEUE}:wait`);

/** From now on Redis refuses whatever takes memory. */
const refuse = () => redis.ask((client) => client.config('SET', 'maxmemory', '1'));
const allow = () => redis.ask((client) => client.config('SET', 'maxmemory', '0'));

/** Gives the payloads, and then nothing, until it is closed. */
function endlessAfter(payloads: readonly number[], closed: () => void): AsyncIterable<number> {
  const rest = payloads.values();
  const iterator: AsyncIterator<number> = {
    next: () => {
      const { value, done } = rest.next();
      return done === true ? new Promise(() => undefined) : Promise.resolve({ value, done: false });
    },
    return: () => {
      closed();
      return Promise.resolve({ value: undefined, done: true });
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

/** A process that holds the items of a job until they are aborted. */
async function startHeldJob(submit: (worker: WorkerProcess) => Promise<Job>) {
  const ran = new Seen<number>();
  const troubles = new Seen<Error>();
  const worker = start(async (payload, { signal }) => {
    ran.add(payload);
    await untilAborted(signal);
  });
  worker.on('engineTroubled', ({ error }) => troubles.add(error));
  const job = await submit(worker);
  await ran.reach(1);
  return { worker, job, ran, troubles };
}

const unavailable = { code: 'STORE_UNAVAILABLE' };

describe('a cancel while Redis is away', () => {
  test('by a signal is told as trouble, and written once Redis is back', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const { job, ran, troubles } = await startHeldJob((worker) =>
      worker.distributeWork('type', numbers(20), { signal }),
    );
    await redis.kill();
    controller.abort();
    await troubles.until((all) =>
      all.some((error) => (error as { code?: unknown }).code === unavailable.code),
    );
    await redis.startAgain();
    expect(await job.completed).toMatchObject({ status: 'cancelled', accepted: 20 });
    expect(ran.all.length).toBeLessThanOrEqual(2);
  });

  test('by a signal is written once Redis refuses no more', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const { job, ran, troubles } = await startHeldJob((worker) =>
      worker.distributeWork('type', numbers(20), { signal }),
    );
    await refuse();
    controller.abort();
    await troubles.until((all) => all.some(({ message }) => message.includes('OOM')));
    await allow();
    expect(await job.completed).toMatchObject({ status: 'cancelled', accepted: 20 });
    expect(ran.all.length).toBeLessThanOrEqual(2);
  });

  test('rejects, leaves the job as it was, and ends its source once Redis is back', async () => {
    const closed = deferred();
    const { job } = await startHeldJob((worker) =>
      worker.distributeWork('type', endlessAfter(numbers(4), closed.resolve)),
    );
    await untilTrue(async (client) => (await client.hget(recordOf(job.id), 'accepted')) === '4');
    await redis.kill();
    await expect(job.cancel()).rejects.toMatchObject(unavailable);
    expect(job.isCancelled).toBe(false);
    await redis.startAgain();
    await closed.promise;
    expect(await job.completed).toMatchObject({ status: 'cancelled', accepted: 4 });
  });

  test('can be asked for again', async () => {
    const { job } = await startHeldJob((worker) => worker.distributeWork('type', numbers(20)));
    await refuse();
    await expect(job.cancel()).rejects.toThrow('OOM');
    await allow();
    await job.cancel();
    expect(job.isCancelled).toBe(true);
    expect(await job.completed).toMatchObject({ status: 'cancelled', accepted: 20 });
  });
});

describe('a submission that a short loss of Redis breaks off', () => {
  test('as a stream, ends with the counts of what was stored, for all processes', async () => {
    const proxy = await startProxy();
    const producer = start(() => undefined, { port: proxy.port, autoStart: false });
    const goesOn = deferred();
    const job = await producer.distributeWork(
      'type',
      (async function* () {
        yield* [0, 1, 2];
        await goesOn.promise;
        yield* [3, 4, 5];
        await new Promise(() => undefined);
      })(),
    );
    await untilTrue(async (client) => (await client.hget(recordOf(job.id), 'accepted')) === '3');
    const completed = job.completed;
    proxy.dropAnswers();
    goesOn.resolve();
    await untilTrue(async (client) => (await waiting(client)) === 2);
    proxy.cut();
    const other = start(() => undefined);
    const found = await other.findJob(job.id);
    const counts = { status: 'source-failed', accepted: 6, done: 6, total: 6 };
    expect(await found!.completed).toMatchObject(counts);
    expect(await completed).toMatchObject(counts);
  });

  test('as an array, rejects at once, and ends with the counts of what was stored', async () => {
    const proxy = await startProxy();
    const producer = start(() => undefined, { port: proxy.port, autoStart: false });
    // Redis knows the scripts then: their answers tell nothing else.
    const known = await producer.distributeWork('type', [0]);
    const items = 5_000;
    let looks = 0;
    // Looked at before anything is stored, and packed when a part of the others is on its way.
    const last = { toJSON: () => (++looks === 2 ? proxy.dropAnswers() : undefined, items - 1) };
    const submitting = producer
      .distributeWork<unknown>('type', [...numbers(items - 1), last])
      .catch((error: unknown) => error);
    await untilTrue(async (client) => (await waiting(client)) === 9);
    proxy.cut();
    expect(await submitting).toMatchObject(unavailable);
    const keys = await redis.ask((client) => client.keys(recordOf('*')));
    const id = keys.map((key) => /@job:(.*)\}/.exec(key)![1]!).find((one) => one !== known.id)!;
    const other = start(() => undefined);
    const found = await other.findJob(id);
    expect(await found!.completed).toMatchObject({ status: 'interrupted', accepted: 4_096, done: 4_096 });
  });

  test('by a Redis that refuses its end, ends once it refuses no more', async () => {
    const worker = start(() => undefined);
    const goesOn = deferred();
    const ends = deferred();
    const job = await worker.distributeWork(
      'type',
      (async function* () {
        yield* [0, 1, 2];
        await goesOn.promise;
        ends.resolve();
      })(),
    );
    await untilTrue(async (client) => (await client.hget(recordOf(job.id), 'done')) === '3');
    await refuse();
    goesOn.resolve();
    await ends.promise;
    const troubled = until(
      () => redis.ask((client) => client.hget(recordOf(job.id), 'sealed')),
      Boolean,
      300,
    );
    expect(await troubled).toBeNull();
    expect(job.isEnded).toBe(false);
    await allow();
    expect(await job.completed).toMatchObject({ status: 'completed', accepted: 3, done: 3 });
  });
});

describe('chunks whose answer came in part before the connection was lost', () => {
  test('are there once, and whoever stored them is told', async () => {
    const proxy = await startProxy();
    const store = await openStore({ url: `redis://127.0.0.1:${proxy.port}`, whenDown: 'wait' });
    const queue = store.queue('type', 'items', new Told(), false);
    await queue.add([chunk('known')]);
    proxy.cutNextAnswerAfter('$1\r\na\r\n'.length);
    expect(await queue.add([chunk('a'), chunk('b')])).toEqual(['a', 'b']);
    expect(await queue.counts()).toMatchObject({ waiting: 3 });
  });

  test('are there once, and that is told later to whoever does not wait', async () => {
    const proxy = await startProxy();
    const store = await openStore({ url: `redis://127.0.0.1:${proxy.port}`, whenDown: 'fail' });
    const queue = store.queue('type', 'items', new Told(), false);
    await queue.add([chunk('known')]);
    proxy.cutNextAnswerAfter('$1\r\na\r\n'.length);
    const told = deferred<readonly string[]>();
    await expect(
      queue.add([chunk('a'), chunk('b')], (answer) => void answer.then(told.resolve)),
    ).rejects.toMatchObject(unavailable);
    expect(await told.promise).toEqual(['a', 'b']);
    expect(await queue.counts()).toMatchObject({ waiting: 3 });
  });
});

describe('the end of a chunk', () => {
  test('whose answer was lost with the connection is not told as a lost lease', async () => {
    const proxy = await startProxy();
    const ran = new Seen<number>();
    const worker = start(
      (payload) => {
        if (payload === 1) proxy.dropAnswers();
        ran.add(payload);
      },
      { port: proxy.port },
    );
    const lost: unknown[] = [];
    worker.on('leaseLost', (loss) => lost.push(loss));
    // Redis knows the scripts then: their answers tell nothing else.
    await worker.distributeWork('type', 0);
    await worker.waitForCompletion();
    await worker.distributeWork('type', 1);
    await ran.reach(2);
    await untilTrue(async (client) => (await client.keys(`${QUEUE}:*.1`)).length === 0);
    proxy.cut();
    const submit = () => worker.distributeWork('type', 2).catch(() => undefined);
    expect(await until(submit, Boolean, LIMIT_MS)).toBeDefined();
    await ran.reach(3);
    await worker.waitForCompletion();
    await worker.shutdown();
    expect(lost).toEqual([]);
    expect(ran.all.filter((payload) => payload === 1)).toEqual([1]);
  });

  test('that can not be written holds no other, and is tried again later', async () => {
    const gate = deferred();
    const ran = new Seen<number>();
    const worker = start(async (payload) => {
      ran.add(payload);
      await gate.promise;
    });
    const troubles = new Seen<Error>();
    worker.on('engineTroubled', ({ error }) => troubles.add(error));
    const bad = await worker.distributeWork('type', [1]);
    const good = await worker.distributeWork('type', [2]);
    await ran.reach(1);
    await redis.ask(async (client) => {
      await client.del(recordOf(bad.id));
      await client.set(recordOf(bad.id), 'no hash');
    });
    gate.resolve();
    expect(await good.completed).toMatchObject({ status: 'completed', done: 1 });
    await troubles.until((all) => all.some(({ message }) => message.includes('WRONGTYPE')));
    await redis.ask((client) => client.del(recordOf(bad.id)));
    await ran.until((all) => all.filter((payload) => payload === 1).length === 2);
    await worker.waitForCompletion();
  });

  test('whose handler made of its payload what JSON can not say keeps the payload that was stored', async () => {
    const worker = new WorkerProcess({
      shutdownTimeoutMs: 500,
      engine: redisEngine({ url: redis.url, prefix: PREFIX }),
    });
    closeAtEnd(() => worker.shutdown());
    const buried = new Seen<unknown>();
    worker.on('deadLetter', ({ payload }) => buried.add(payload));
    worker.register('type', {
      processItem: (payload: { n: number; self?: unknown }) => {
        if (payload.n !== 1) return;
        payload.self = payload;
        throw new UnrecoverableError('no');
      },
    });
    const job = await worker.distributeWork('type', [{ n: 0 }, { n: 1 }, { n: 2 }]);
    expect(await job.completed).toMatchObject({ status: 'completed-with-failures', done: 2, failed: 1 });
    expect(await buried.reach(1)).toEqual([{ n: 1 }]);
    expect(await worker.deadLetters({ type: 'type' })).toMatchObject([{ payload: { n: 1 } }]);
  });
});
