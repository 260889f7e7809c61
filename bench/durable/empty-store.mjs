// Every measurement starts on a server that holds nothing, with nothing of the one before it still to be done.
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Client } from 'pg';

const POLL_MS = 5;
const PEERS_SCHEMAS = ['graphile_worker', 'pgboss'];

export async function emptyStore(url) {
  if (url.startsWith('redis:')) await emptyRedis(url);
  else await emptyPostgres(url);
}

async function emptyRedis(url) {
  const redis = new Redis(url);
  await redis.flushall('SYNC');
  await redis.script('FLUSH');
  if (/aof_enabled:1/.test(await redis.info('persistence'))) {
    // Else the file of all that was measured before is rewritten in the middle of this measurement.
    await redis.bgrewriteaof();
    while (/aof_rewrite_(in_progress|scheduled):1/.test(await redis.info('persistence')))
      await delay(POLL_MS);
  }
  await redis.quit();
}

async function emptyPostgres(url) {
  const client = new Client(url);
  await client.connect();
  client.on('notice', () => undefined);
  for (const schema of PEERS_SCHEMAS) await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await client.query('CHECKPOINT');
  await client.end();
}

/** Bytes that the server has allocated. */
export async function usedRedisMemory(url) {
  const redis = new Redis(url);
  const [, bytes] = /used_memory:(\d+)/.exec(await redis.info('memory'));
  await redis.quit();
  return Number(bytes);
}

/** Chunks that a process has taken and not given back: BullMQ keeps the ids of such jobs in lists of this name. */
export async function activeJobs(url) {
  const redis = new Redis(url);
  const lists = await redis.keys('*:active');
  const lengths = await Promise.all(lists.map((list) => redis.llen(list)));
  await redis.quit();
  return lengths.reduce((sum, length) => sum + length, 0);
}
