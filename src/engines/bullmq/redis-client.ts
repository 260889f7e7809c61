import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { seekPrimary } from './read-only.js';
import type { RedisStoreOptions } from './redis-store-options.js';

export type RedisClient = Redis | Cluster;

/** How long a server that is gone may keep the process, in milliseconds. */
const DISCONNECT_TIMEOUT_MS = 200;

/** A client that connects when it is told to, and then for ever tries again. */
export function makeRedisClient(options: RedisStoreOptions): RedisClient {
  const client = makeLazyClient(options);
  // Its duplicates connect by themselves: BullMQ would give up one whose first try fails.
  client.options.lazyConnect = false;
  return client;
}

function makeLazyClient({ url, connection, cluster, connectTimeoutMs }: RedisStoreOptions): RedisClient {
  const own: RedisOptions = {
    lazyConnect: true,
    enableOfflineQueue: true,
    // Consumers wait for Redis however long it is away.
    maxRetriesPerRequest: null,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
  };
  const usual: RedisOptions = {
    connectTimeout: connectTimeoutMs,
    ...seekPrimary,
  };
  if (cluster !== undefined) {
    return new Cluster([...cluster.nodes], {
      ...cluster.options,
      lazyConnect: true,
      enableOfflineQueue: true,
      redisOptions: { ...usual, ...cluster.options?.redisOptions, ...own, lazyConnect: false },
    });
  }
  const options = { ...usual, ...connection, ...own };
  return url === undefined ? new Redis(options) : new Redis(url, options);
}

/** Ends a client at once, and all that it has been asked with it. */
export function endClient(client: RedisClient): void {
  // One that waits for its next try would keep what it has been asked for ever; one that tries gives it up.
  if (client.status === 'reconnecting') client.connect().catch(() => {});
  client.disconnect();
}
