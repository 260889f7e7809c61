import { afterEach } from '@jest/globals';
import type { ChunkQueueListener, Lease, NewChunk } from '../../../src/engines/durable/chunk-queue.js';
import {
  resolveRedisStoreOptions,
  type RedisStoreOptionsInput,
} from '../../../src/engines/bullmq/redis-store-options.js';
import { RedisStore } from '../../../src/engines/bullmq/redis-store.js';
import { deferred } from '../../support/deferred.js';

/** What has been started in a test and is closed at its end, the last one first. */
const closings: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closings.splice(0).toReversed()) await close();
});

/** Has `close` called at the end of the test. */
export function closeAtEnd(close: () => Promise<unknown>): void {
  closings.push(close);
}

/** A store that is open until the end of the test. Another one with the same options is another process's view. */
export async function openStore(options: RedisStoreOptionsInput): Promise<RedisStore> {
  const store = makeStore(options);
  await store.open();
  return store;
}

export function makeStore(options: RedisStoreOptionsInput): RedisStore {
  const store = new RedisStore(resolveRedisStoreOptions({ prefix: 'test', ...options }));
  closeAtEnd(() => store.close());
  return store;
}

/** Keeps what a queue tells. */
export class Told implements ChunkQueueListener {
  readonly troubles: Error[] = [];
  lapses = 0;
  private waiting: { readonly isDone: () => boolean; readonly resolve: () => void }[] = [];

  troubled(error: Error): void {
    this.troubles.push(error);
    this.look();
  }

  lapsed(count: number): void {
    this.lapses += count;
    this.look();
  }

  /** Resolves when `isDone` is true of what was told. */
  until(isDone: (told: this) => boolean): Promise<void> {
    const { promise, resolve } = deferred();
    this.waiting.push({ isDone: () => isDone(this), resolve });
    this.look();
    return promise;
  }

  private look(): void {
    this.waiting = this.waiting.filter(({ isDone, resolve }) => {
      if (!isDone()) return true;
      resolve();
      return false;
    });
  }
}

export function chunk(id: string, parts: Partial<NewChunk> = {}): NewChunk {
  return {
    id,
    text: JSON.stringify({ v: 1, of: id }),
    dueAtMs: 0,
    isRetry: false,
    goesFirst: false,
    key: undefined,
    ...parts,
  };
}

/** The lease that an answer has to be. */
export function held(lease: Lease | undefined): Lease {
  if (lease === undefined) throw new Error('Expected a chunk to be leased, but there was none');
  return lease;
}
