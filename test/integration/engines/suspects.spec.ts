import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { redisEngine } from '../../../src/bullmq.js';
import type { ItemContext, Job, WorkerProcessOptionsInput } from '../../../src/index.js';
import { WorkerProcess } from '../../../src/index.js';
import type { ChunkRun } from '../../../src/engines/durable/chunk-format.js';
import type { ChunkQueue, LeaseNote } from '../../../src/engines/durable/chunk-queue.js';
import { deferred } from '../../support/deferred.js';
import { createRedisNamespace, type RedisNamespace } from '../../support/redis.js';
import { until } from '../../support/until.js';
import { Seen } from '../../conformance/seen.js';
import { chunk, closeAtEnd, held, openStore, Told } from './stores.js';

const LIMIT_MS = 10_000;
const LEASE_MS = 1_000;

let namespace: RedisNamespace;
let prefix: string;
beforeAll(async () => void (namespace = await createRedisNamespace()));
beforeEach(() => void (prefix = `suspects-${randomUUID()}`));
afterAll(() => namespace.close());

function start(options: WorkerProcessOptionsInput = {}, maxDeaths = 3): WorkerProcess {
  const process = new WorkerProcess({
    shutdownTimeoutMs: 100,
    abortGraceMs: 100,
    drainOnShutdown: false,
    engine: redisEngine({ url: namespace.url, prefix, leaseMs: LEASE_MS, maxDeaths }),
    ...options,
  });
  closeAtEnd(() => process.shutdown());
  return process;
}

async function queueOf(type: string): Promise<ChunkQueue> {
  const store = await openStore({ url: namespace.url, prefix });
  return store.queue(type, 'items', new Told());
}

/** Stores an item as one whose process has died twice. */
async function addSuspect(queue: ChunkQueue, id: string, item: string, job?: Job): Promise<void> {
  const of: ChunkRun = job === undefined ? ['loose', `${id}-1`, 0, 1] : ['job', job.id, 0, 1];
  const text = JSON.stringify({ v: 1, of: [of], heads: { 0: { s: 1 } }, items: [item] });
  await queue.add([chunk(`${id}.0.1`, { text })]);
}

/** Leases the chunk, keeps a note with it, and gives it back. */
async function note(queue: ChunkQueue, text: LeaseNote): Promise<void> {
  const lease = held(await queue.lease(false));
  await queue.note(lease, text);
  await queue.giveBack(lease);
}

/** An item that runs until its process ends. */
const untilAborted = (_: unknown, { signal }: ItemContext) =>
  new Promise<void>((_resolve, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as Error)),
  );

const isLeased = (queue: ChunkQueue, count: number) =>
  until(
    () => queue.counts(),
    ({ active }) => active === count,
    LIMIT_MS,
  );

describe('a suspect', () => {
  test('that is cancelled while it stands in line lets those after it have their turns', async () => {
    const gate = deferred();
    const ran = new Seen<string>();
    const process = start();
    process.register('type', {
      processItem: async (item: string) => {
        ran.add(item);
        if (item === 'slow') await gate.promise;
      },
    });
    const queue = await queueOf('type');
    const job = await process.distributeWork('type', ['tracked'], { delayMs: 600_000 });
    await addSuspect(queue, 'a', 'slow');
    await ran.reach(1);
    await addSuspect(queue, 'b', 'cancelled', job);
    await isLeased(queue, 2);
    await job.cancel();
    gate.resolve();
    await addSuspect(queue, 'c', 'last');
    expect(await ran.reach(2)).toEqual(['slow', 'last']);
  });

  test('of a paused type does not keep those of other types from their turns', async () => {
    const gate = deferred();
    const ran = new Seen<string>();
    const process = start();
    process.register('paused', {
      maxConcurrency: 1,
      processItem: async (item: string) => {
        ran.add(item);
        if (item === 'slow') await gate.promise;
      },
    });
    process.register('other', { processItem: (item: string) => ran.add(item) });
    const paused = await queueOf('paused');
    await process.distributeWork('paused', 'slow');
    await ran.reach(1);
    await addSuspect(paused, 'a', 'suspect');
    // It has had its turn, and waits for the worker.
    await isLeased(paused, 2);
    await process.pause('paused');
    gate.resolve();
    await addSuspect(await queueOf('other'), 'b', 'of the other');
    expect(await ran.reach(2)).toEqual(['slow', 'of the other']);
    await process.resume('paused');
    expect(await ran.reach(3)).toEqual(['slow', 'of the other', 'suspect']);
  });

  test('has not died when its process ended in order, whether or not it had begun', async () => {
    const queue = await queueOf('type');
    await addSuspect(queue, 'a', 'innocent');
    for (let times = 1; times <= 2; times++) {
      const ran = new Seen<string>();
      const process = start({}, 1);
      process.register('type', {
        maxConcurrency: 1,
        processItem: (item: string, context: ItemContext) => {
          ran.add(item);
          return untilAborted(item, context);
        },
      });
      await ran.reach(1);
      await process.shutdown();
    }
    // This one has no worker for it, as its only one is busy.
    const busy = start({}, 1);
    const ran = new Seen<string>();
    busy.register('type', { maxConcurrency: 1, processItem: untilAborted });
    await busy.distributeWork('type', 'busy');
    await isLeased(queue, 2);
    await busy.shutdown();
    const last = start({}, 1);
    last.register('type', { processItem: (item: string) => ran.add(item) });
    expect([...(await ran.reach(2))].toSorted()).toEqual(['busy', 'innocent']);
    expect(await last.deadLetters()).toEqual([]);
  });

  test('has not died when its process ended before the rate limit let it start', async () => {
    const queue = await queueOf('type');
    const rateLimit = { max: 1, durationMs: 600_000 };
    const ran = new Seen<string>();
    const limited = start({}, 1);
    limited.register('type', { rateLimit, processItem: (item: string) => ran.add(item) });
    await limited.distributeWork('type', 'first');
    await ran.reach(1);
    await addSuspect(queue, 'a', 'innocent');
    await isLeased(queue, 1);
    await limited.shutdown();
    expect(await queue.counts()).toMatchObject({ waiting: 1, active: 0 });
    const last = start({}, 1);
    last.register('type', { processItem: (item: string) => ran.add(item) });
    expect(await ran.reach(2)).toEqual(['first', 'innocent']);
  });

  test('becomes a dead letter when its process died as often as it may, and not before', async () => {
    const queue = await queueOf('type');
    await addSuspect(queue, 'a', 'deadly');
    await note(queue, { deaths: 1, attempts: 2, startedUnder: 1 });
    const ran = new Seen<string>();
    const dead = new Seen<unknown>();
    const process = start();
    process.on('deadLetter', ({ payload, reason, attempts }) => dead.add([payload, reason, attempts]));
    process.register('type', { processItem: (item: string) => ran.add(item) });
    // Died twice: it is tried once more.
    expect(await ran.reach(1)).toEqual(['deadly']);
    await process.pause('type');
    await addSuspect(queue, 'b', 'deadly');
    await process.resume('type');
    await ran.reach(2);
    await process.shutdown();
    await addSuspect(queue, 'c', 'deadly');
    await note(queue, { deaths: 2, attempts: 2, startedUnder: 1 });
    const next = start();
    next.on('deadLetter', ({ payload, reason, attempts }) => dead.add([payload, reason, attempts]));
    next.register('type', { processItem: (item: string) => ran.add(item) });
    expect(await dead.reach(1)).toEqual([['deadly', 'process-died', 2]]);
    expect(
      await until(
        () => queue.counts(),
        ({ active }) => active === 0,
        LIMIT_MS,
      ),
    ).toMatchObject({ waiting: 0 });
    expect(ran.all).toHaveLength(2);
  });
});
