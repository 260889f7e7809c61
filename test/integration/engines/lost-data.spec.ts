import { beforeEach, describe, expect, test } from '@jest/globals';
import { redisEngine } from '../../../src/bullmq.js';
import { WorkerProcess, type WorkerProcessOptionsInput } from '../../../src/index.js';
import { until } from '../../support/until.js';
import { Seen } from '../../conformance/seen.js';
import { RedisProcess } from './redis-process.js';
import { closeAtEnd } from './stores.js';

const LIMIT_MS = 10_000;
/** How long an item runs: another one of its key that runs meanwhile is seen, as it starts within a call of Redis. */
const RUN_MS = 20;

let redis: RedisProcess;
beforeEach(async () => {
  redis = await RedisProcess.start(['--appendonly', 'no']);
  closeAtEnd(() => redis.close());
});

function start(options: WorkerProcessOptionsInput = {}): WorkerProcess {
  const process = new WorkerProcess({
    shutdownTimeoutMs: 500,
    abortGraceMs: 100,
    engine: redisEngine({ url: redis.url, prefix: 'lost' }),
    ...options,
  });
  closeAtEnd(() => process.shutdown());
  return process;
}

/** Processes that work on the same items, and what they do at the same time. */
class Watched {
  readonly ran = new Seen<number>();
  most = 0;
  private running = 0;

  startWorker(): WorkerProcess {
    const process = start({ maxConcurrency: 4 });
    process.register('type', {
      processItem: async (payload: number) => {
        this.most = Math.max(this.most, ++this.running);
        await new Promise((resolve) => setTimeout(resolve, RUN_MS));
        this.running--;
        this.ran.add(payload);
      },
    });
    return process;
  }
}

function startProducer(): WorkerProcess {
  const process = start({ autoStart: false });
  process.register('type', { processItem: () => undefined });
  return process;
}

const orderKey = () => 'key';
const numbers = (count: number) => Array.from({ length: count }, (_, number) => number);
const loseData = () => redis.ask((client) => client.flushall());

/** How many queues are waited at for chunks. */
async function waits(): Promise<number> {
  const list = (await redis.ask((client) => client.client('LIST'))) as string;
  return list.split('cmd=bzpopmin').length - 1;
}

const isMarked = () => redis.ask((client) => client.exists('{lost:type}:@ordered'));

/** What BullMQ knows of how many chunks of each partition may be leased at a time. */
async function limits(): Promise<(string | null)[]> {
  return redis.ask((client) =>
    Promise.all(numbers(8).map((place) => client.hget(`{lost:type}:order.${place}:meta`, 'concurrency'))),
  );
}

describe('items with order keys, after Redis has lost its data,', () => {
  test('run one at a time as before, in processes that have worked on some', async () => {
    const watched = new Watched();
    watched.startWorker();
    watched.startWorker();
    const producer = startProducer();
    await producer.distributeWork('type', numbers(6), { orderKey });
    // Both wait for items of the lane, and of each partition.
    expect(await until(waits, (count) => count === 18, LIMIT_MS)).toBe(18);
    let ran = 6;
    for (let times = 0; times < 5; times++) {
      await loseData();
      await producer.distributeWork('type', numbers(6), { orderKey });
      await watched.ran.reach((ran += 6));
    }
    expect(watched.most).toBe(1);
    expect(watched.ran.all.slice(-6)).toEqual(numbers(6));
  });

  test('run in a process that starts later, submitted by one that has submitted some before', async () => {
    const producer = startProducer();
    await producer.distributeWork('type', [100], { orderKey });
    await loseData();
    await producer.distributeWork('type', numbers(3), { orderKey });
    expect(await limits()).toEqual(numbers(8).map(() => '1'));
    const watched = new Watched();
    watched.startWorker();
    expect(await watched.ran.reach(3)).toEqual(numbers(3));
  });

  test('find their queues limited again by the processes that work on them, though nobody submits some', async () => {
    const watched = new Watched();
    const one = watched.startWorker();
    await one.distributeWork('type', numbers(2), { orderKey });
    await watched.ran.reach(2);
    await loseData();
    expect(await until(isMarked, Boolean, LIMIT_MS)).toBe(1);
    expect(await limits()).toEqual(numbers(8).map(() => '1'));
  });
});

describe('items with order keys', () => {
  test('are not stored when their queues can not be limited', async () => {
    const producer = startProducer();
    await producer.distributeWork('type', [1]);
    // Nothing that takes memory is done any more.
    await redis.ask((client) => client.config('SET', 'maxmemory', '1'));
    await expect(producer.distributeWork('type', [2], { orderKey })).rejects.toThrow('OOM');
    expect(await limits()).toEqual(numbers(8).map(() => null));
    await redis.ask((client) => client.config('SET', 'maxmemory', '0'));
    await producer.distributeWork('type', [3], { orderKey });
    expect(await limits()).toEqual(numbers(8).map(() => '1'));
    const watched = new Watched();
    watched.startWorker();
    expect(new Set(await watched.ran.reach(2))).toEqual(new Set([1, 3]));
  });
});
