// The entry point ./bullmq: the durable engine on Redis, by BullMQ.

export { redisEngine, type RedisEngineOptions } from './engines/bullmq/redis-engine.js';
export type { RedisClusterAddress, WhenDown } from './engines/bullmq/redis-store-options.js';
export { StoreUnavailableError, StoreUnreachableError } from './engines/bullmq/store-errors.js';
export * from './engines/durable/durable-errors.js';
