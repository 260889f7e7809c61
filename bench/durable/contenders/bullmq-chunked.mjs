import { Queue, Worker } from 'bullmq';
import { slicesOf } from '../items.mjs';
import { bullmqConnection, KEEP_NOTHING, QUEUE } from './bullmq-connection.mjs';

/** As many items as our chunks carry. */
const CHUNK_SIZE = 512;
const CHUNKS_A_CALL = 10;
const CONCURRENCY = 10;

/** What is left when nothing is promised for a single item: a job is an array of items, done or failed as one. */
export async function bullmqChunked({ url, handle }) {
  const connection = bullmqConnection(url);
  const queue = new Queue(QUEUE, { connection, defaultJobOptions: KEEP_NOTHING });
  await queue.waitUntilReady();
  let worker;
  const work = async ({ data }) => {
    for (const item of data) await handle(item);
  };
  return {
    async pushAll(items) {
      const chunks = Array.from(slicesOf(items, CHUNK_SIZE), (data) => ({ name: 'chunk', data }));
      for (const slice of slicesOf(chunks, CHUNKS_A_CALL)) await queue.addBulk(slice);
    },
    push: (item) => queue.add('chunk', [item]),
    async consume() {
      worker = new Worker(QUEUE, work, { connection, concurrency: CONCURRENCY });
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
