import { Queue, Worker } from 'bullmq';
import { slicesOf } from '../items.mjs';
import { bullmqConnection, KEEP_NOTHING, QUEUE } from './bullmq-connection.mjs';

const BULK = 1_000;
const CONCURRENCY = 100;
const RETRIES = { attempts: 4, backoff: { type: 'fixed', delay: 100 } };

/** BullMQ as its documentation shows it: an item is a job. */
export async function bullmq({ url, handle, retries }) {
  const connection = bullmqConnection(url);
  const defaultJobOptions = { ...KEEP_NOTHING, ...(retries ? RETRIES : {}) };
  const queue = new Queue(QUEUE, { connection, defaultJobOptions });
  await queue.waitUntilReady();
  let worker;
  return {
    async pushAll(items) {
      for (const slice of slicesOf(items, BULK))
        await queue.addBulk(slice.map((data) => ({ name: 'item', data })));
    },
    push: (item) => queue.add('item', item),
    async consume() {
      worker = new Worker(QUEUE, async ({ data }) => handle(data), { connection, concurrency: CONCURRENCY });
      worker.on('error', (error) => process.stderr.write(`${error.message}\n`));
      await worker.waitUntilReady();
    },
    hold: async () => undefined,
    async stop() {
      await worker?.close();
      await queue.close();
    },
  };
}
