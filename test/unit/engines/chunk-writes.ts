import type { Job } from '../../../src/core/job.js';
import { StoreUnavailableError } from '../../../src/engines/bullmq/store-errors.js';
import { ChunkIds } from '../../../src/engines/durable/chunk-ids.js';
import type { ChunkContent, ItemHead } from '../../../src/engines/durable/chunk-format.js';
import type { ChunkQueue, Lease, NewChunk } from '../../../src/engines/durable/chunk-queue.js';
import { LeasedChunk } from '../../../src/engines/durable/leased-chunk.js';

export const limits = { chunkSize: 100, maxChunkBytes: 1_000_000 };
export const ids = new ChunkIds();
export const error = new Error('failed');

/** A queue that keeps what it is told, for moments that a real store can't be brought to. */
export class WatchedQueue {
  /** What it was told, in order. */
  readonly told: unknown[] = [];
  readonly added: NewChunk[] = [];
  /** Whether leases hold. */
  isHeld = true;
  /** Whether it does not answer. */
  isAway = false;
  /** How often it does not answer when a chunk is given back. */
  silences = 0;

  private answer<T>(told: unknown, value: T): Promise<T> {
    if (this.isAway) return Promise.reject(new StoreUnavailableError('redis'));
    this.told.push(told);
    return Promise.resolve(value);
  }

  readonly queue = {
    add: (chunks: readonly NewChunk[]) => {
      this.added.push(...chunks);
      return this.answer('add', []);
    },
    renew: (leases: readonly Lease[]) =>
      this.answer(
        'renew',
        leases.flatMap(({ chunkId }) => (this.isHeld ? [] : [chunkId])),
      ),
    note: (_: Lease, note: unknown) => this.answer(['note', note], undefined),
    complete: () => this.answer('complete', this.isHeld),
    giveBack: () =>
      this.silences-- > 0
        ? Promise.reject(new StoreUnavailableError('redis'))
        : this.answer('giveBack', this.isHeld),
    postpone: (_: Lease, dueAtMs: number) => this.answer(['postpone', dueAtMs], this.isHeld),
  } as unknown as ChunkQueue;
}

export interface ChunkParts {
  readonly lease?: Partial<Lease>;
  readonly heads?: Record<string, ItemHead>;
  readonly isOrdered?: boolean;
  readonly onSettled?: (chunk: LeasedChunk) => void;
}

/** A chunk of `items` items of one job without a record. */
export function leasedChunk(queue: ChunkQueue, items: number, parts: ChunkParts = {}): LeasedChunk {
  const { lease, heads, isOrdered = false, onSettled = () => undefined } = parts;
  const content: ChunkContent = {
    v: 1,
    of: [['loose', 'job-1', 0, items]],
    ...(heads && { heads }),
    items: Array.from({ length: items }, (_, place) => place),
  };
  return new LeasedChunk(
    queue,
    { chunkId: 'a', number: 1, lapses: 0, content, noted: undefined, ...lease },
    content,
    isOrdered,
    (idPrefix, sequence) => ({ id: `${idPrefix}-${sequence}` }) as Job,
    onSettled,
  );
}

/** The item at `place` had its last attempt. */
export function bury(chunk: LeasedChunk, place: number): void {
  const { run, index } = chunk.ownerOf(place);
  const { job } = run;
  chunk.died(place, {
    job,
    index,
    payload: 1,
    attempts: 1,
    reason: 'unrecoverable',
    error,
    isTracked: false,
  });
}
