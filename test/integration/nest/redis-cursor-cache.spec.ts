import { beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import {
  connectRedisCursorCache,
  CursorJob,
  JobProcess,
  RedisCursorCache,
  WorkerModule,
  type CursorSource,
} from '../../../src/index.js';
import { startRedisServer } from '../../support/redis-server.js';
import { createRedisNamespace, type RedisNamespace } from '../../support/redis.js';
import { closeAtEnd, startApplication } from './applications.js';
import { rowWork, RowWorker } from './row-work.js';

describe('RedisCursorCache', () => {
  let namespace: RedisNamespace;
  beforeEach(async () => {
    namespace = await createRedisNamespace();
    closeAtEnd(() => namespace.close());
  });

  test.each([
    ['a text'],
    [''],
    [0],
    [false],
    [null],
    [{ 'ключ "\u0000': ['\ud83d\ude00', 1.5, null] }],
    [[1]],
  ])('keeps %j under any name, until it is cleared', async (checkpoint) => {
    const cache = await connectRedisCursorCache(namespace.url);
    closeAtEnd(() => cache.close());
    for (const name of ['quotes', 'quotes:*', 'täglich "\n\u0000', '__proto__']) {
      expect(await cache.load(name)).toBeUndefined();
      await cache.save(name, checkpoint);
      expect(await cache.load(name)).toEqual(checkpoint);
      await cache.clear(name);
      expect(await cache.load(name)).toBeUndefined();
    }
  });

  test('uses the client and the prefix that it is given, and closes no client of somebody else', async () => {
    const redis = new Redis(namespace.url);
    closeAtEnd(() => redis.quit());
    const cache = new RedisCursorCache(redis, { keyPrefix: 'shop:' });
    await cache.save('quotes', 5);
    await cache.close();
    expect(await redis.get('shop:quotes')).toBe('5');
    expect(await redis.ttl('shop:quotes')).toBe(-1);
  });

  test('fails at once, and names the server without its password, when Redis does not answer', async () => {
    await expect(connectRedisCursorCache('redis://user:secret@127.0.0.1:1')).rejects.toThrow(
      /^Cursor cache: Redis does not answer at redis:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/,
    );
  });

  test('can be closed while Redis does not answer', async () => {
    const server = await startRedisServer();
    closeAtEnd(() => server.stop());
    const cache = await connectRedisCursorCache(server.url);
    const other = new Redis(server.url);
    closeAtEnd(() => Promise.resolve(other.disconnect()));
    await other.call('CLIENT', 'PAUSE', '600000', 'ALL');
    const saving = cache.save('quotes', 5);
    const told = saving.catch((error: Error) => error.message);
    await cache.close();
    expect(await told).toBe('Connection is closed.');
  });

  test('can be closed while Redis is down', async () => {
    const server = await startRedisServer();
    const cache = await connectRedisCursorCache(server.url);
    await cache.save('quotes', 5);
    expect(await cache.load('quotes')).toBe(5);
    await server.stop();
    await cache.close();
  });

  test('lets a job of a new process go on where the killed one was', async () => {
    @CursorJob({ name: 'numbers', worker: 'rows', pageSize: 2 })
    class Numbers implements CursorSource<number, number> {
      fetchPage(cursor = 0) {
        const next = cursor + 2;
        return Promise.resolve({ items: [cursor + 1, next], next: next < 8 ? next : undefined });
      }
    }
    const application = async () =>
      startApplication({
        imports: [
          WorkerModule.forRootAsync({
            useFactory: async () => ({
              shutdownTimeoutMs: 0,
              abortGraceMs: 0,
              reportIntervalMs: 0,
              cursorCache: await connectRedisCursorCache(namespace.url),
            }),
          }),
        ],
        providers: [RowWorker, Numbers],
      });
    const held = rowWork.holdAt(4);
    const first = await application();
    const run = first.get(JobProcess).processCursorData('numbers');
    await held.reached;
    await first.close();
    expect(await run.completed).toMatchObject({ status: 'interrupted', pages: 1 });

    rowWork.workAnew();
    const second = await application();
    expect(await second.get(JobProcess).processCursorData('numbers').completed).toMatchObject({
      status: 'completed',
    });
    expect(rowWork.worked).toEqual([3, 4, 5, 6, 7, 8]);
    held.letGo();
  });
});
