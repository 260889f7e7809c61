import type { EngineFactory, EngineHost } from '../../core/engine.js';
import { findProblems, given, refuseProblems } from '../../core/option-rules.js';
import { DurableEngine } from '../durable/durable-engine.js';
import { DURABLE_DEFAULTS, durableRules, type DurableOptions } from '../durable/durable-options.js';
import { resolveRedisStoreOptions, type RedisStoreOptionsInput } from './redis-store-options.js';
import { RedisStore } from './redis-store.js';

/** Options of `redisEngine`: where Redis is, and what shall differ from the defaults. */
export interface RedisEngineOptions extends RedisStoreOptionsInput, Partial<DurableOptions> {
  readonly leaseMs?: number;
}

/**
 * Keeps items in Redis, by BullMQ, so that they outlive the process and are shared by all that use the same Redis and
 * `prefix`. Give it to `WorkerModule.forRoot({ engine })` or `new WorkerProcess({ engine })`; each process opens connections of
 * its own.
 *
 * @throws InvalidOptionsError that names every wrong option
 */
export function redisEngine(options: RedisEngineOptions): EngineFactory {
  const { chunkSize, maxItemBytes, maxChunkBytes, partitions, maxDeaths, ...store } = options ?? {};
  const durable = { chunkSize, maxItemBytes, maxChunkBytes, partitions, maxDeaths, leaseMs: store.leaseMs };
  refuseProblems('redisEngine()', findProblems(given(durable), durableRules));
  const storeOptions = resolveRedisStoreOptions(store);
  const durableOptions: DurableOptions = Object.freeze({ ...DURABLE_DEFAULTS, ...given(durable) });
  return Object.freeze({
    name: 'redis',
    isDurable: true,
    createEngine: (host: EngineHost) => new DurableEngine(host, new RedisStore(storeOptions), durableOptions),
  });
}
