import { beforeEach, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { redisEngine } from '../../../src/bullmq.js';
import type { RedisStoreOptionsInput } from '../../../src/engines/bullmq/redis-store-options.js';
import { BullmqChunkQueue } from '../../../src/engines/bullmq/bullmq-chunk-queue.js';
import { RedisTakenLetters } from '../../../src/engines/bullmq/redis-taken-letters.js';
import { SharedPause } from '../../../src/engines/durable/shared-pause.js';
import {
  UnrecoverableError,
  WorkerProcess,
  type DeadLetter,
  type WorkerProcessOptionsInput,
} from '../../../src/index.js';
import { progressOf } from '../../conformance/engines.js';
import { Seen } from '../../conformance/seen.js';
import { deferred } from '../../support/deferred.js';
import { createRedisNamespace } from '../../support/redis.js';
import { until } from '../../support/until.js';
import { closeAtEnd } from './stores.js';

const LIMIT_MS = 10_000;

let url: string;
let prefix: string;
let redis: Redis;

beforeEach(async () => {
  const namespace = await createRedisNamespace();
  closeAtEnd(() => namespace.close());
  ({ url } = namespace);
  prefix = `redrives-${randomUUID()}`;
  redis = new Redis(url);
  closeAtEnd(() => redis.quit());
});

function start(options: WorkerProcessOptionsInput = {}, store: RedisStoreOptionsInput = {}): WorkerProcess {
  const process = new WorkerProcess({
    shutdownTimeoutMs: 500,
    abortGraceMs: 100,
    engine: redisEngine({ url, prefix, ...store }),
    ...options,
  });
  closeAtEnd(() => process.shutdown());
  return process;
}

/** Processes whose items die as long as they are broken. */
class Breaking {
  readonly ran = new Seen<number>();
  readonly died = new Seen<DeadLetter>();
  isBroken = true;

  start(options: WorkerProcessOptionsInput = {}): WorkerProcess {
    const process = start(options);
    process.on('deadLetter', this.died.add);
    process.register('type', {
      priorities: true,
      processItem: (payload: number) => {
        this.ran.add(payload);
        if (this.isBroken) throw new UnrecoverableError('no');
      },
    });
    return process;
  }
}

type Methods<Name extends string> = Record<Name, (...args: never[]) => Promise<unknown>>;

/** Has the next call of a method go another way. */
function onceOtherwise<Name extends string>(
  of: Methods<Name>,
  name: Name,
  otherwise: (real: () => Promise<unknown>) => Promise<unknown>,
): void {
  const real = of[name];
  of[name] = function (this: unknown, ...args: never[]) {
    of[name] = real;
    return otherwise(() => real.apply(this, args));
  };
  closeAtEnd(() => Promise.resolve((of[name] = real)));
}

/** Has the next call wait; it has come when `reached` is resolved. */
function holdBack<Name extends string>(of: Methods<Name>, name: Name) {
  const reached = deferred();
  const gate = deferred();
  onceOtherwise(of, name, async (real) => {
    reached.resolve();
    await gate.promise;
    return real();
  });
  return { reached: reached.promise, go: () => gate.resolve() };
}

/** Has the next call be refused, as by a store that is away. */
function refuseOnce<Name extends string>(of: Methods<Name>, name: Name): void {
  onceOtherwise(of, name, () => Promise.reject(new Error('away')));
}

describe('letters that are redriven', () => {
  test('are there again when their items die before the redrive has ended', async () => {
    const items = new Breaking();
    const process = items.start();
    await process.distributeWork('type', 1);
    await items.died.reach(1);
    const end = holdBack(RedisTakenLetters.prototype, 'forget');
    const redriven = process.redriveDeadLetters({ type: 'type' });
    await end.reached;
    await items.died.reach(2);
    end.go();
    expect(await redriven).toBe(1);
    expect(await process.deadLetters()).toHaveLength(1);
    items.isBroken = false;
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(1);
    await items.ran.reach(3);
    await process.waitForCompletion();
    expect(await process.deadLetters()).toEqual([]);
    expect(await process.depth('type')).toMatchObject({ dead: 0 });
  });

  test('are put back by the next redrive when they could not be', async () => {
    const items = new Breaking();
    const process = items.start();
    const job = await process.distributeWork('type', [1, 2]);
    await items.died.reach(2);
    items.isBroken = false;
    refuseOnce(BullmqChunkQueue.prototype, 'add');
    await expect(process.redriveDeadLetters({ type: 'type' })).rejects.toThrow('away');
    expect(await process.discardDeadLetters({ type: 'type' })).toBe(0);
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(2);
    await items.ran.reach(4);
    expect(await job.completed).toMatchObject({ accepted: 2 });
    await process.waitForCompletion();
    expect(await progressOf(process, job)).toMatchObject({ done: 2, failed: 0 });
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(0);
  });

  test('are not put back twice, nor kept from dying again, when only the end of the redrive failed', async () => {
    const items = new Breaking();
    const process = items.start();
    const job = await process.distributeWork('type', [1, 2]);
    await items.died.reach(2);
    refuseOnce(RedisTakenLetters.prototype, 'forget');
    await expect(process.redriveDeadLetters({ type: 'type' })).rejects.toThrow('away');
    await items.died.reach(4);
    await process.waitForCompletion();
    // What was left undone is done again, and changes nothing.
    expect(await process.redriveDeadLetters({ ids: ['none'] })).toBe(0);
    expect(await progressOf(process, job)).toMatchObject({ done: 0, failed: 2 });
    items.isBroken = false;
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(2);
    await items.ran.reach(6);
    await process.waitForCompletion();
    expect(items.ran.all).toHaveLength(6);
    expect(await progressOf(process, job)).toMatchObject({ done: 2, failed: 0 });
  });

  test('are put back by others when who took them has died', async () => {
    const items = new Breaking();
    const dead = items.start();
    const job = await dead.distributeWork('type', [1, 2, 3]);
    await items.died.reach(3);
    items.isBroken = false;
    // It never comes to storing them.
    const death = holdBack(BullmqChunkQueue.prototype, 'add');
    const redriven = dead.redriveDeadLetters({ type: 'type' }).catch(() => undefined);
    await death.reached;
    const others = items.start();
    expect(await others.redriveDeadLetters({ type: 'type' })).toBe(0);
    // More than a minute later.
    await redis.zadd(`{${prefix}:type}:@taken`, 'XX', Date.now() - 61_000, await onlyBatch());
    items.start();
    await items.ran.reach(6);
    await others.waitForCompletion();
    expect(await progressOf(others, job)).toMatchObject({ done: 3, failed: 0 });
    expect(await redis.keys('*taken*')).toEqual([]);
    // It was only slow.
    death.go();
    await redriven;
    await others.waitForCompletion();
    expect(items.ran.all).toHaveLength(6);
    expect(await redis.keys('*taken*')).toEqual([]);
  });

  test('are redriven by one of several who do so at once, and discarded by none', async () => {
    const items = new Breaking();
    const one = items.start();
    const other = items.start();
    await one.distributeWork('type', [1, 2]);
    await items.died.reach(2);
    items.isBroken = false;
    const [letter] = await one.deadLetters({ type: 'type' });
    const adding = holdBack(BullmqChunkQueue.prototype, 'add');
    const redriven = one.redriveDeadLetters({ type: 'type' });
    await adding.reached;
    expect(await other.redriveDeadLetters({ ids: [letter!.id] })).toBe(0);
    expect(await other.discardDeadLetters({ type: 'type' })).toBe(0);
    adding.go();
    expect(await redriven).toBe(2);
    await items.ran.reach(4);
    await one.waitForCompletion();
    expect(items.ran.all.toSorted((a, b) => a - b)).toEqual([1, 1, 2, 2]);
  });

  test('come back to the lane of their priority', async () => {
    const items = new Breaking();
    const process = items.start();
    await process.distributeWork('type', [1], { priority: 'high' });
    await process.distributeWork('type', [2]);
    await items.died.reach(2);
    await process.pause('type');
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(2);
    const lengths = await Promise.all(['items.high', 'items', 'items.low'].map(waiting));
    expect(lengths).toEqual([1, 1, 0]);
  });
});

function waiting(name: string): Promise<number> {
  return redis.llen(`{${prefix}:type}:${name}:wait`);
}

async function onlyBatch(): Promise<string> {
  const batches = await redis.zrange(`{${prefix}:type}:@taken`, 0, -1);
  expect(batches).toHaveLength(1);
  return batches[0]!;
}

describe('a dead letter', () => {
  test('is told once, however often its writing is repeated', async () => {
    const items = new Breaking();
    const process = start();
    process.on('deadLetter', items.died.add);
    refuseOnce(SharedPause.prototype, 'pause');
    process.register('type', {
      maxDeadLetters: 1,
      processItem: () => {
        throw new UnrecoverableError('no');
      },
    });
    const job = await process.distributeWork('type', [1]);
    await job.completed;
    await until(
      () => process.depth('type'),
      ({ active }) => active.items === 0,
      LIMIT_MS,
    );
    expect(items.died.all).toHaveLength(1);
    expect(await process.deadLetters()).toHaveLength(1);
  });
});

function startProducer(store: RedisStoreOptionsInput): WorkerProcess {
  const process = start({ autoStart: false }, store);
  process.register('type', { processItem: () => undefined });
  return process;
}

function startWorker(ran: Seen<number>, store: RedisStoreOptionsInput): WorkerProcess {
  const process = start({}, store);
  process.register('type', { processItem: ran.add });
  return process;
}

describe('a job whose items are for later', () => {
  test('stays cancelled until they are due, longer than records of ended jobs are kept', async () => {
    const store = { endedRecordTtlMs: 100 };
    const producer = startProducer(store);
    const ran = new Seen<number>();
    startWorker(ran, store);
    const job = await producer.distributeWork('type', [1, 2], { delayMs: 1_000 });
    await job.cancel();
    await producer.waitForCompletion();
    expect(ran.all).toEqual([]);
  });

  test('is known until they are done, longer than other records are kept', async () => {
    const store = { recordTtlMs: 500 };
    const producer = startProducer(store);
    const ran = new Seen<number>();
    startWorker(ran, store);
    const job = await producer.distributeWork('type', [1, 2], { delayMs: 1_500 });
    expect(await job.completed).toMatchObject({ status: 'completed', done: 2, handedBack: 0 });
    expect(ran.all).toEqual([1, 2]);
  });
});
