import type { ChunkQueue, ChunkQueueListener } from './chunk-queue.js';
import type { JobRecords } from './job-records.js';
import type { LetterShelf } from './letter-shelf.js';
import type { QueueNames, TypeState } from './type-state.js';

/** Where a durable engine keeps items, shared by all processes that are given the same one. */
export interface Store {
  /** Connects. Later calls of anything wait for it by themselves. @throws StoreUnreachableError after the time that it is given */
  open(): Promise<void>;
  /** What about the store may cost items, a sentence each, for the log. */
  findRisks(): Promise<readonly string[]>;
  /** The queue of this name of a worker type; made at the first call. @param isPartition whether it is one for order keys */
  queue(type: string, name: string, listener: ChunkQueueListener, isPartition: boolean): ChunkQueue;
  letters(type: string): LetterShelf;
  /** @param queues those that it steers */
  state(type: string, queues: QueueNames): TypeState;
  readonly records: JobRecords;
  /** Ends all connections, when nothing more is asked. */
  close(): Promise<void>;
}
