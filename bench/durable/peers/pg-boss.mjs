import { setTimeout as delay } from 'node:timers/promises';
import { PgBoss } from 'pg-boss';
import { slicesOf } from '../items.mjs';

const QUEUE = 'items';
const BATCH = 1_000;
const LOOPS = 2;
const CONNECTIONS = 10;
const EMPTY_DELAY_MS = 2;

/** Fetched and completed in batches by hand: its own workers wait at least half a second between fetches. */
export async function pgBoss({ url, handle }) {
  const boss = new PgBoss({
    connectionString: url,
    max: CONNECTIONS,
    supervise: false,
    schedule: false,
  });
  boss.on('error', (error) => process.stderr.write(`${error.message}\n`));
  await boss.start();
  await boss.createQueue(QUEUE);
  const end = new AbortController();
  let loops = [];

  async function work() {
    while (!end.signal.aborted) {
      const jobs = await boss.fetch(QUEUE, { batchSize: BATCH });
      if (jobs.length === 0) {
        await delay(EMPTY_DELAY_MS);
        continue;
      }
      for (const { data } of jobs) await handle(data);
      const ids = jobs.map(({ id }) => id);
      await boss.complete(QUEUE, ids);
    }
  }

  return {
    async pushAll(items) {
      for (const slice of slicesOf(items, BATCH))
        await boss.insert(
          QUEUE,
          slice.map((data) => ({ data })),
        );
    },
    push: (item) => boss.send(QUEUE, item),
    consume: async () => void (loops = Array.from({ length: LOOPS }, work)),
    hold: async () => undefined,
    async stop() {
      end.abort();
      await Promise.all(loops);
      await boss.stop({ graceful: false });
    },
  };
}
