import { expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { until } from '../../support/until.js';
import { DeafProxy } from './deaf-proxy.js';
import { RedisProcess } from './redis-process.js';
import { closeAtEnd, openStore } from './stores.js';

const LIMIT_MS = 5_000;

/** How often the server was asked to run a script that it may know. */
async function scriptCalls(client: Redis): Promise<number> {
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? 0);
}

test('what is told of a job counts in the order in which it was told, also when Redis learns the script in between', async () => {
  const server = await RedisProcess.start(['--appendonly', 'no']);
  closeAtEnd(() => server.close());
  const port = Number(new URL(server.url).port);
  const proxy = await DeafProxy.before(port);
  closeAtEnd(() => proxy.close());
  const direct = new Redis(server.url);
  closeAtEnd(() => direct.quit());
  const other = (await openStore({ url: server.url })).records;
  const { records } = await openStore({ url: `redis://127.0.0.1:${proxy.port}` });
  for (const id of ['job', 'other']) await records.create(id, 'mail');
  // From its second call on, a connection takes it that Redis knows the script.
  await records.accept('job', 100, 0);
  await direct.script('FLUSH');
  // Only the script in question is to be forgotten.
  await other.create('other', 'mail');
  const before = await scriptCalls(direct);
  const passAnswers = proxy.keepAnswers();
  const first = records.accept('job', 1, 0);
  const calls = await until(
    () => scriptCalls(direct),
    (made) => made > before,
    LIMIT_MS,
  );
  expect(calls).toBeGreaterThan(before);
  // Redis has told that it does not know the script. From now on it does.
  await other.accept('other', 1, 0);
  const second = records.accept('job', 10, 0);
  // Once this has come, so has what was sent before it.
  const last = records.create('last', 'mail');
  const [arrived] = await until(
    () => other.read(['last']),
    ([record]) => record !== undefined,
    LIMIT_MS,
  );
  expect(arrived).toBeDefined();
  passAnswers();
  await Promise.all([first, second, last]);
  expect(await other.read(['job'])).toMatchObject([{ accepted: 111 }]);
});
