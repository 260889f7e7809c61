import { afterEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { createTestDatabase } from '../support/database.js';
import { createRedisNamespace } from '../support/redis.js';
import { startRedisServer } from '../support/redis-server.js';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

describe('a test database', () => {
  test('is a fresh one, and gone after the test', async () => {
    const [first, second] = await Promise.all([createTestDatabase(), createTestDatabase()]);
    expect(first.url).not.toBe(second.url);

    const client = new Client(first.url);
    await client.connect();
    await client.query('CREATE TABLE something (id int)');
    await client.end();
    await Promise.all([first.drop(), second.drop()]);

    await expect(new Client(first.url).connect()).rejects.toThrow('does not exist');
  });

  test('names the connections that a test forgot', async () => {
    const database = await createTestDatabase();
    const forgotten = new Client({ connectionString: database.url, application_name: 'forgetful' });
    forgotten.on('error', () => {});
    await forgotten.connect();
    await forgotten.query('SELECT 42');

    await expect(database.drop()).rejects.toThrow(/but 1 is open[^]*forgetful, idle: SELECT 42/);

    await expect(new Client(database.url).connect()).rejects.toThrow('does not exist');
    await forgotten.end();
  });
});

describe('a Redis namespace', () => {
  test('is a database of its own, and empty for the next one', async () => {
    const [first, second] = await Promise.all([createRedisNamespace(), createRedisNamespace()]);
    expect(first.url).not.toBe(second.url);
    expect(first.keyPrefix).not.toBe(second.keyPrefix);

    const client = new Redis(first.url);
    await client.set('key', 'value');
    await client.quit();
    await Promise.all([first.close(), second.close()]);

    const again = new Redis(first.url);
    expect(await again.get('key')).toBeNull();
    await again.quit();
  });

  test('names the connections that a test forgot, and is not given to the next test', async () => {
    const namespace = await createRedisNamespace();
    const forgotten = new Redis(namespace.url, { connectionName: 'forgetful' });
    await forgotten.ping();

    await expect(namespace.close()).rejects.toThrow(/but 1 is open[^]*forgetful from .* last command: ping/);

    const next = await createRedisNamespace();
    expect(next.url).not.toBe(namespace.url);
    await next.close();
    await forgotten.quit();
    await namespace.close();
  });

  test('is never a database that holds the keys of somebody else', async () => {
    const namespace = await createRedisNamespace();
    const client = new Redis(namespace.url);
    cleanups.push(() => client.flushdb().then(() => client.quit()));
    await client.flushdb();
    await client.set('of-somebody-else', '1');

    const next = await createRedisNamespace();
    await next.close();

    expect(next.url).not.toBe(namespace.url);
    expect(await client.get('of-somebody-else')).toBe('1');
  });
});

test('a Redis server of its own starts empty, and is gone when it stops', async () => {
  const server = await startRedisServer();
  const client = new Redis(server.url);
  expect(await client.dbsize()).toBe(0);
  await client.quit();

  await server.stop();

  const refused = new Redis(server.url, { lazyConnect: true, retryStrategy: () => null });
  refused.on('error', () => {});
  await expect(refused.connect()).rejects.toThrow(/closed|ECONNREFUSED/);
});
