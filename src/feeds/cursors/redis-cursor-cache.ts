import { systemClock } from '../../core/clock.js';
import { within } from '../../core/within.js';
import type { CursorCache } from './cursor-cache.js';

/** The calls of an ioredis client that the cache makes. */
export interface RedisForCursors {
  get(key: string): Promise<string | null>;
  set(key: string, value: string): Promise<unknown>;
  del(key: string): Promise<unknown>;
}

export interface RedisCursorCacheOptions {
  /** Stands before each name. Default `worker:cursor:`. */
  readonly keyPrefix?: string;
}

/** Checkpoints in Redis: kept across restarts and seen by all replicas. */
export class RedisCursorCache implements CursorCache {
  private readonly keyPrefix: string;

  /**
   * @param redis an ioredis client
   * @param closeRedis ends the client; left out when it belongs to somebody else
   */
  constructor(
    private readonly redis: RedisForCursors,
    { keyPrefix = 'worker:cursor:' }: RedisCursorCacheOptions = {},
    private readonly closeRedis: () => Promise<void> = () => Promise.resolve(),
  ) {
    this.keyPrefix = keyPrefix;
  }

  async load(name: string): Promise<unknown> {
    const stored = await this.redis.get(this.keyPrefix + name);
    return stored === null ? undefined : (JSON.parse(stored) as unknown);
  }

  async save(name: string, checkpoint: unknown): Promise<void> {
    await this.redis.set(this.keyPrefix + name, JSON.stringify(checkpoint));
  }

  async clear(name: string): Promise<void> {
    await this.redis.del(this.keyPrefix + name);
  }

  async close(): Promise<void> {
    await this.closeRedis();
  }
}

/** How long a server may take for what is under way when the connection is closed, in milliseconds. */
const QUIT_TIMEOUT_MS = 2_000;

/** How long a server that is gone may keep the process, in milliseconds. */
const DISCONNECT_TIMEOUT_MS = 200;

/**
 * Connects to Redis by ioredis, which has to be installed, and keeps checkpoints there.
 *
 * @param url as in `redis://127.0.0.1:6379`
 * @throws Error when ioredis is not installed, or Redis does not answer
 */
export async function connectRedisCursorCache(
  url: string,
  options: RedisCursorCacheOptions = {},
): Promise<RedisCursorCache> {
  const { Redis } = await import('ioredis').catch((error: unknown) => {
    throw new Error('The Redis cursor cache needs the package ioredis: npm install ioredis', {
      cause: error,
    });
  });
  const redis = new Redis(url, {
    lazyConnect: true,
    connectionName: 'worker-cursors',
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
  });
  let lastError: Error | undefined = undefined;
  // Without a listener, ioredis prints each failed reconnect; commands report it to who called them.
  redis.on('error', (error: Error) => (lastError = error));
  try {
    await redis.connect();
  } catch (error) {
    redis.disconnect();
    const why = (lastError ?? (error as Error)).message;
    throw new Error(`Cursor cache: Redis does not answer at ${withoutPassword(url)}: ${why}`, {
      cause: error,
    });
  }
  return new RedisCursorCache(redis, options, async () => {
    try {
      // While Redis is down, `quit` would wait for it to come back; while it does not answer, for ever.
      if (redis.status === 'ready') await within(systemClock, QUIT_TIMEOUT_MS, redis.quit());
    } finally {
      redis.disconnect();
    }
  });
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//');
}
