import { Redis } from 'ioredis';
import { slicesOf } from '../items.mjs';

const STREAM = 'items';
const GROUP = 'workers';
const COUNT = 1_000;
const BLOCK_MS = 1_000;

/** A consumer group by hand: an item is an entry, acknowledged and deleted in one go with what was read with it. */
export async function redisStreams({ url, handle }) {
  const producer = new Redis(url);
  const consumer = new Redis(url);
  await producer.xgroup('CREATE', STREAM, GROUP, '$', 'MKSTREAM');
  const end = new AbortController();
  let loop;

  async function read() {
    const command = ['GROUP', GROUP, 'one', 'COUNT', COUNT, 'BLOCK', BLOCK_MS, 'STREAMS', STREAM, '>'];
    const answer = await consumer.xreadgroup(...command).catch((error) => {
      if (end.signal.aborted) return null;
      throw error;
    });
    return answer?.[0][1] ?? [];
  }

  async function settle(ids) {
    const pipeline = consumer.pipeline();
    pipeline.xack(STREAM, GROUP, ...ids);
    pipeline.xdel(STREAM, ...ids);
    await pipeline.exec();
  }

  async function work() {
    while (!end.signal.aborted) {
      const entries = await read();
      if (entries.length === 0) continue;
      for (const [, [, text]] of entries) await handle(JSON.parse(text));
      if (!end.signal.aborted) await settle(entries.map(([id]) => id));
    }
  }

  return {
    async pushAll(items) {
      for (const slice of slicesOf(items, COUNT)) {
        const pipeline = producer.pipeline();
        for (const item of slice) pipeline.xadd(STREAM, '*', 'item', JSON.stringify(item));
        await pipeline.exec();
      }
    },
    push: (item) => producer.xadd(STREAM, '*', 'item', JSON.stringify(item)),
    consume: async () => void (loop = work()),
    hold: async () => undefined,
    async stop() {
      end.abort();
      consumer.disconnect();
      producer.disconnect();
      await loop;
    },
  };
}
