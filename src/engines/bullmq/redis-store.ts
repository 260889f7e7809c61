import type { ChunkQueue, ChunkQueueListener } from '../durable/chunk-queue.js';
import type { JobRecords } from '../durable/job-records.js';
import type { LetterShelf } from '../durable/letter-shelf.js';
import type { Store } from '../durable/store.js';
import type { QueueNames, TypeState } from '../durable/type-state.js';
import { BullmqChunkQueue } from './bullmq-chunk-queue.js';
import { BullmqLetterShelf } from './bullmq-letter-shelf.js';
import { RedisJobRecords } from './redis-job-records.js';
import { RedisLink } from './redis-link.js';
import { findRedisRisks } from './redis-risks.js';
import type { RedisStoreOptions } from './redis-store-options.js';
import { RedisTypeState } from './redis-type-state.js';

/** Items in Redis, by BullMQ: all that only Redis can do is behind this class. */
export class RedisStore implements Store {
  readonly records: JobRecords;
  private readonly link: RedisLink;
  private readonly queues = new Map<string, BullmqChunkQueue>();
  private readonly shelves = new Map<string, BullmqLetterShelf>();
  private readonly states = new Map<string, RedisTypeState>();

  constructor(private readonly options: RedisStoreOptions) {
    this.link = new RedisLink(options);
    this.records = new RedisJobRecords(this.link, options);
  }

  open(): Promise<void> {
    return this.link.open();
  }

  findRisks(): Promise<readonly string[]> {
    return this.link.ask(() => findRedisRisks(this.link.client));
  }

  queue(type: string, name: string, listener: ChunkQueueListener, isPartition = false): ChunkQueue {
    return getOrMake(
      this.queues,
      JSON.stringify([type, name]),
      () => new BullmqChunkQueue(this.link, this.options, type, name, listener, isPartition),
    );
  }

  letters(type: string): LetterShelf {
    return getOrMake(this.shelves, type, () => new BullmqLetterShelf(this.link, this.options.prefix, type));
  }

  state(type: string, queues: QueueNames = { lanes: [], partitions: [] }): TypeState {
    return getOrMake(
      this.states,
      type,
      () => new RedisTypeState(this.link, this.options.prefix, type, queues),
    );
  }

  async close(): Promise<void> {
    await Promise.all([...this.queues.values()].map((queue) => queue.close()));
    await this.link.close();
    await Promise.all([...this.shelves.values()].map((shelf) => shelf.close()));
  }
}

function getOrMake<Value>(made: Map<string, Value>, key: string, make: () => Value): Value {
  const known = made.get(key);
  if (known !== undefined) return known;
  const value = make();
  made.set(key, value);
  return value;
}
