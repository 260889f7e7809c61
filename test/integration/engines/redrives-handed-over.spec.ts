import { beforeEach, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { redisEngine, type RedisEngineOptions } from '../../../src/bullmq.js';
import { BullmqChunkQueue } from '../../../src/engines/bullmq/bullmq-chunk-queue.js';
import type { NewChunk, StoredId } from '../../../src/engines/durable/chunk-queue.js';
import { UnrecoverableError, WorkerProcess, type DeadLetter } from '../../../src/index.js';
import { Seen } from '../../conformance/seen.js';
import { createRedisNamespace } from '../../support/redis.js';
import { until } from '../../support/until.js';
import { closeAtEnd } from './stores.js';

const LIMIT_MS = 10_000;

type Add = (this: BullmqChunkQueue, chunks: readonly NewChunk[]) => Promise<readonly StoredId[]>;

let url: string;
let prefix: string;
let redis: Redis;

beforeEach(async () => {
  const namespace = await createRedisNamespace();
  closeAtEnd(() => namespace.close());
  ({ url } = namespace);
  prefix = `handed-${randomUUID()}`;
  redis = new Redis(url);
  closeAtEnd(() => redis.quit());
});

/** Has a process that stores chunks break off after the first of them: the store has some of a call, and not the others. */
function breakOffNextAdd(): void {
  const prototype: { add: Add } = BullmqChunkQueue.prototype;
  const real = prototype.add;
  const putBack = () => (prototype.add = real);
  closeAtEnd(() => Promise.resolve(putBack()));
  prototype.add = async function (chunks) {
    putBack();
    await real.call(this, chunks.slice(0, 1));
    throw new Error('broken off');
  };
}

/** Redrives until nothing is left of what others have taken. Those who broke off say so a little later. */
async function finishRedrive(process: WorkerProcess): Promise<void> {
  const left = await until(
    async () => {
      await process.redriveDeadLetters({ type: 'type' });
      return redis.exists(`{${prefix}:type}:@taken`);
    },
    (batches) => batches === 0,
    LIMIT_MS,
  );
  expect(left).toBe(0);
  await process.waitForCompletion();
}

/** A worker type of several processes whose items die as long as they are broken. */
class Breaking {
  readonly ran = new Seen<number>();
  readonly died = new Seen<DeadLetter>();
  isBroken = true;

  start(store: RedisEngineOptions, priorities: boolean): WorkerProcess {
    const process = new WorkerProcess({
      shutdownTimeoutMs: 500,
      abortGraceMs: 100,
      engine: redisEngine({ url, prefix, ...store }),
    });
    closeAtEnd(() => process.shutdown());
    process.on('deadLetter', this.died.add);
    process.register('type', {
      priorities,
      processItem: (payload: number) => {
        if (this.isBroken) throw new UnrecoverableError('broken');
        this.ran.add(payload);
      },
    });
    return process;
  }
}

describe('a redrive that was broken off, and is finished by a process', () => {
  test('that makes larger chunks, loses nothing', async () => {
    const items = new Breaking();
    const one = items.start({ chunkSize: 2 }, false);
    await one.distributeWork('type', [1, 2, 3, 4]);
    await items.died.reach(4);
    items.isBroken = false;
    breakOffNextAdd();
    await expect(one.redriveDeadLetters({ type: 'type' })).rejects.toThrow('broken off');
    const other = items.start({ chunkSize: 100 }, false);
    await finishRedrive(other);
    expect(new Set(items.ran.all)).toEqual(new Set([1, 2, 3, 4]));
  });

  test('without priorities, loses nothing', async () => {
    const items = new Breaking();
    const one = items.start({}, true);
    await one.distributeWork('type', [1]);
    await items.died.reach(1);
    await one.distributeWork('type', [2], { priority: 'high' });
    await items.died.reach(2);
    items.isBroken = false;
    breakOffNextAdd();
    await expect(one.redriveDeadLetters({ type: 'type' })).rejects.toThrow('broken off');
    const other = items.start({}, false);
    await finishRedrive(other);
    expect(new Set(items.ran.all)).toEqual(new Set([1, 2]));
  });
});
