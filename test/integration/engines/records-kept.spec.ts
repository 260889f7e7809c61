import { beforeEach, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { redisEngine, type RedisEngineOptions } from '../../../src/bullmq.js';
import { RetryLaterError, WorkerProcess } from '../../../src/index.js';
import { Seen } from '../../conformance/seen.js';
import { createRedisNamespace } from '../../support/redis.js';
import { RedisProcess } from './redis-process.js';
import { closeAtEnd, openStore } from './stores.js';

let url: string;
let prefix: string;

beforeEach(async () => {
  const namespace = await createRedisNamespace();
  closeAtEnd(() => namespace.close());
  ({ url } = namespace);
  prefix = `kept-${randomUUID()}`;
});

function start(store: RedisEngineOptions): WorkerProcess {
  const process = new WorkerProcess({
    shutdownTimeoutMs: 500,
    abortGraceMs: 100,
    engine: redisEngine({ url, prefix, ...store }),
  });
  closeAtEnd(() => process.shutdown());
  return process;
}

describe('the record of a job', () => {
  test('is kept while an item of it awaits another attempt', async () => {
    const process = start({ recordTtlMs: 300 });
    const ran = new Seen<number>();
    process.register('type', {
      processItem: (_: unknown, { attempt }) => {
        ran.add(attempt);
        if (attempt === 1) throw new RetryLaterError(1_000);
      },
    });
    const job = await process.distributeWork('type', [1]);
    expect(await job.completed).toMatchObject({ status: 'completed', done: 1, handedBack: 0 });
    expect(ran.all).toEqual([1, 2]);
  });

  test('is kept while its items wait in a paused type, so that a cancel is not forgotten', async () => {
    const process = start({ recordTtlMs: 300 });
    const ran = new Seen<number>();
    process.register('type', { processItem: ran.add });
    await process.pause('type');
    const job = await process.distributeWork('type', [1, 2]);
    await job.cancel();
    const other = start({ recordTtlMs: 300 });
    other.register('later', { processItem: ran.add });
    // By the time that this has run, a record with that time would be gone.
    await other.distributeWork('later', [3], { delayMs: 600 });
    await ran.reach(1);
    await process.resume('type');
    await process.waitForCompletion();
    expect(ran.all).toEqual([3]);
  });
});

test('what is told of a job counts in the order in which it was told, also when Redis could not write at first', async () => {
  const server = await RedisProcess.start(['--appendonly', 'no']);
  closeAtEnd(() => server.close());
  const { records } = await openStore({ url: server.url, whenDown: 'wait' });
  await records.create('job', 'mail');
  // A replica of nobody: it refuses to write.
  await server.ask((client) => client.replicaof('127.0.0.1', '1'));
  const before = await refused(server);
  const first = records.accept('job', 1, 0);
  while ((await refused(server)) === before) await new Promise((resolve) => setImmediate(resolve));
  await server.ask((client) => client.replicaof('NO', 'ONE'));
  await Promise.all([first, records.accept('job', 10, 0)]);
  expect(await records.read(['job'])).toMatchObject([{ accepted: 11 }]);
});

/** How often the server has refused something. */
async function refused(server: RedisProcess): Promise<number> {
  const stats = await server.ask((client) => client.info('stats'));
  return Number(/total_error_replies:(\d+)/.exec(stats)![1]);
}
