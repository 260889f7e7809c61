// Us and the peers behind one face.

/**
 * @typedef {object} Contender
 * @property {(items: object[]) => Promise<unknown>} pushAll stores many items, the fastest way it has
 * @property {(item: object) => Promise<unknown>} push stores one item
 * @property {() => Promise<unknown>} consume takes items from now on
 * @property {() => Promise<unknown>} hold instead of `consume`: what is stored stays stored
 * @property {() => Promise<unknown>} stop
 */

/**
 * @typedef {object} ContenderInput
 * @property {string} url of the server
 * @property {(item: object) => Promise<void>} handle
 * @property {boolean} retries whether failed items are to be tried again, after 100 ms
 */

/** @type {Record<string, (input: ContenderInput) => Promise<Contender>>} */
export const contenders = {
  ours: async (input) => (await import('./contenders/ours.mjs')).ours(input),
  BullMQ: async (input) => (await import('./contenders/bullmq.mjs')).bullmq(input),
  'BullMQ, chunked by hand': async (input) =>
    (await import('./contenders/bullmq-chunked.mjs')).bullmqChunked(input),
  'Redis Streams': async (input) => (await import('./contenders/redis-streams.mjs')).redisStreams(input),
  'graphile-worker': async (input) => (await import('./peers/graphile-worker.mjs')).graphileWorker(input),
  'pg-boss': async (input) => (await import('./peers/pg-boss.mjs')).pgBoss(input),
};
