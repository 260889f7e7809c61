import { beforeEach, describe, expect, test } from '@jest/globals';
import { Queue } from 'bullmq';
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { redisEngine } from '../../../src/bullmq.js';
import { UnrecoverableError, WorkerProcess, type WorkerProcessOptionsInput } from '../../../src/index.js';
import { createRedisNamespace } from '../../support/redis.js';
import { until } from '../../support/until.js';
import { Seen } from '../../conformance/seen.js';
import { closeAtEnd, openStore } from './stores.js';

/** Longer than what processes need to learn from each other. */
const LIMIT_MS = 10_000;

let url: string;
let prefix: string;
let redis: Redis;
const started: WorkerProcess[] = [];

beforeEach(async () => {
  const namespace = await createRedisNamespace();
  closeAtEnd(() => namespace.close());
  ({ url } = namespace);
  prefix = `pauses-${randomUUID()}`;
  redis = new Redis(url);
  closeAtEnd(() => redis.quit());
  closeAtEnd(() => Promise.all(started.splice(0).map((process) => process.shutdown())));
});

function start(options: WorkerProcessOptionsInput = {}): WorkerProcess {
  const process = new WorkerProcess({
    shutdownTimeoutMs: 500,
    abortGraceMs: 100,
    engine: redisEngine({ url, prefix }),
    ...options,
  });
  started.push(process);
  return process;
}

/** A process whose items die while `isBroken`. */
function startWorker(maxDeadLetters = 2) {
  const ran = new Seen<number>();
  const state = { isBroken: true };
  const process = start();
  process.register('type', {
    maxDeadLetters,
    processItem: (payload: number) => {
      if (state.isBroken) throw new UnrecoverableError('broken');
      ran.add(payload);
    },
  });
  return { process, ran, state };
}

/** A process that submits and steers, but has no workers: it learns nothing from the others by itself. */
function startSteering(maxDeadLetters = 2): WorkerProcess {
  const process = start({ autoStart: false });
  process.register('type', { maxDeadLetters, processItem: () => undefined });
  return process;
}

const reasons = () => redis.smembers(`{${prefix}:type}:@pause-reasons`);

/** What BullMQ itself says. */
async function askQueue<T>(name: string, question: (queue: Queue) => Promise<T>): Promise<T> {
  const queue = new Queue(name, { connection: redis, prefix: `{${prefix}:type}`, skipMetasUpdate: true });
  try {
    return await question(queue);
  } finally {
    await queue.close();
  }
}

const isQueuePaused = (name = 'items') => askQueue(name, (queue) => queue.isPaused());

async function fillWithDead({ process }: { process: WorkerProcess }, payloads: number[]): Promise<void> {
  const paused = new Promise<void>((resolve) => process.on('paused', () => resolve()));
  await process.distributeWork('type', payloads);
  await paused;
  await until(reasons, (all) => all.length > 0, LIMIT_MS);
  expect(await reasons()).toEqual(['dead-letters-full']);
  expect(await isQueuePaused()).toBe(true);
}

describe('a worker type that is full of dead letters', () => {
  test('goes on when a process without workers has discarded them', async () => {
    const worker = startWorker();
    await fillWithDead(worker, [1, 2]);
    worker.state.isBroken = false;
    const steering = startSteering();
    expect(await steering.discardDeadLetters({ type: 'type' })).toBe(2);
    expect(await reasons()).toEqual([]);
    expect(await isQueuePaused()).toBe(false);
    await steering.distributeWork('type', [3, 4]);
    expect(await worker.ran.reach(2)).toEqual([3, 4]);
  });

  test('goes on when a process without workers has put them back', async () => {
    const worker = startWorker();
    await fillWithDead(worker, [1, 2]);
    worker.state.isBroken = false;
    expect(await startSteering().redriveDeadLetters({ type: 'type' })).toBe(2);
    expect(new Set(await worker.ran.reach(2))).toEqual(new Set([1, 2]));
  });

  test('goes on when who took them away has died before it could say so', async () => {
    const worker = startWorker();
    await fillWithDead(worker, [1, 2]);
    worker.state.isBroken = false;
    await worker.process.distributeWork('type', [3]);
    const letters = (await openStore({ url, prefix })).letters('type');
    await letters.remove(await letters.list(0, 10));
    expect(await worker.ran.reach(1)).toEqual([3]);
  });

  test('stays paused as long as they are too many', async () => {
    const worker = startWorker();
    await fillWithDead(worker, [1, 2, 3]);
    worker.state.isBroken = false;
    const steering = startSteering();
    const letters = await steering.deadLetters({ type: 'type' });
    expect(letters).toHaveLength(3);
    await steering.discardDeadLetters({ type: 'type', ids: [letters[0]!.id] });
    expect(await reasons()).toEqual(['dead-letters-full']);
    expect(await isQueuePaused()).toBe(true);
    await steering.discardDeadLetters({ type: 'type', ids: [letters[1]!.id] });
    expect(await reasons()).toEqual([]);
    expect(await isQueuePaused()).toBe(false);
  });

  test('stays paused when it was paused by a call as well, until that is taken back', async () => {
    const worker = startWorker();
    await fillWithDead(worker, [1, 2]);
    worker.state.isBroken = false;
    const steering = startSteering();
    await steering.pause('type');
    await steering.discardDeadLetters({ type: 'type' });
    expect(await reasons()).toEqual(['requested']);
    expect(await isQueuePaused()).toBe(true);
    await steering.distributeWork('type', [3]);
    await steering.resume('type');
    expect(await worker.ran.reach(1)).toEqual([3]);
  });
});

describe('the pause of a worker type', () => {
  const QUEUES = ['items.high', 'items', 'items.low', 'order.0', 'order.7'];

  test('is that of all its queues, in the same moment, also when others end it meanwhile', async () => {
    const one = startSteering();
    const other = startSteering();
    for (let times = 0; times < 200; times++) {
      await Promise.all([one.pause('type'), other.resume('type')]);
      const isPaused = (await reasons()).length > 0;
      const marks = await Promise.all(
        QUEUES.map((name) => redis.hget(`{${prefix}:type}:${name}:meta`, 'paused')),
      );
      expect(marks).toEqual(QUEUES.map(() => (isPaused ? '1' : null)));
    }
    await one.resume('type');
    for (const name of QUEUES) expect(await isQueuePaused(name)).toBe(false);
    await one.pause('type');
    for (const name of QUEUES) expect(await isQueuePaused(name)).toBe(true);
  });

  test('ends for the queue when it has ended for the type, whoever left the queue paused', async () => {
    const worker = startWorker();
    worker.state.isBroken = false;
    await worker.process.start();
    await askQueue('items', (queue) => queue.pause());
    await startSteering().distributeWork('type', [1]);
    expect(await worker.ran.reach(1)).toEqual([1]);
  });
});
