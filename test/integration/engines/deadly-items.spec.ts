import { randomUUID } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { redisEngine } from '../../../src/bullmq.js';
import { WorkerProcess } from '../../../src/index.js';
import { createRedisNamespace } from '../../support/redis.js';
import { startTypescriptProgram } from '../../support/typescript-program.js';
import { until } from '../../support/until.js';
import { chunk, closeAtEnd, openStore, Told } from './stores.js';

const PROGRAM = new URL('./deadly-items.program.ts', import.meta.url);
const DEADLY = ['a', 'b', 'c'];

const MAX_DEATHS = 2;
const LIMIT_MS = 10_000;

test('several items that kill their processes become dead letters, whichever of them is worked on first', async () => {
  const namespace = await createRedisNamespace();
  closeAtEnd(() => namespace.close());
  const { url } = namespace;
  const prefix = `deadly-${randomUUID()}`;
  const store = await openStore({ url, prefix });
  const queue = store.queue('type', 'items', new Told());
  for (const item of DEADLY) {
    const text = JSON.stringify({
      v: 1,
      of: [['loose', `${item}-1`, 0, 1]],
      heads: { 0: { s: 1 } },
      items: [item],
    });
    await queue.add([chunk(`${item}.0.1`, { text })]);
  }
  const killers: string[] = [];
  for (let deaths = 0; deaths < MAX_DEATHS * DEADLY.length; deaths++) {
    const program = startTypescriptProgram(PROGRAM, [url, prefix, String(MAX_DEATHS)]);
    closeAtEnd(() => program.kill());
    killers.push(await program.nextLine());
    await program.ended;
  }
  expect(killers.toSorted()).toEqual([...DEADLY, ...DEADLY].toSorted());
  const last = new WorkerProcess({
    engine: redisEngine({ url, prefix, leaseMs: 1_000, lapseCheckMs: 500, maxDeaths: MAX_DEATHS }),
  });
  closeAtEnd(() => last.shutdown());
  last.register('type', { processItem: () => undefined });
  const dead = await until(
    () => last.deadLetters({ type: 'type' }),
    ({ length }) => length === DEADLY.length,
    LIMIT_MS,
  );
  expect(dead.every(({ reason }) => reason === 'process-died')).toBe(true);
  expect(dead.map(({ payload }) => payload as string).toSorted()).toEqual(DEADLY);
});
