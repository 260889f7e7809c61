/** A chunk that is to be stored. */
export interface NewChunk {
  /**
   * Given by who makes it: a chunk that is stored twice, as its answer was lost, is there once; unless it was completed in
   * between, then its items run again.
   */
  readonly id: string;
  /** Its content as JSON, in the form of `chunk-format.ts`. */
  readonly text: string;
  /** Milliseconds since the Unix epoch before which it is not leased; 0: at once. */
  readonly dueAtMs: number;
  /** Whether its items have failed before, and wait for another attempt. */
  readonly isRetry: boolean;
  /** Whether it is leased before those that wait: its items have waited already. Of no use to one that is due later. */
  readonly goesFirst: boolean;
  /** Stores it only if nothing else with this key is held. Undefined: no key. */
  readonly key: ChunkKey | undefined;
}

/** What only one chunk may have at a time. */
export interface ChunkKey {
  readonly id: string;
  /** Milliseconds for which it is held from the storing on. Undefined: until the chunk is completed. */
  readonly heldForMs: number | undefined;
}

/** What became of a chunk that was to be stored: the id of the chunk that is there, its own or that of the one with its key. */
export type StoredId = string;

/** The right to work on a chunk alone, for a limited time. */
export interface Lease {
  readonly chunkId: string;
  /** How often the chunk has been leased, this time included: with the chunk's id, it fences what is written for it. */
  readonly number: number;
  /** Leases of it that ran out before it was settled: its process died, or was blocked. */
  readonly lapses: number;
  /** The content, parsed. */
  readonly content: unknown;
  /** What `note` wrote last; undefined when nothing was. */
  readonly noted: LeaseNote | undefined;
}

/** What became of a lease whose chunk was to be completed. */
export type CompletedLease =
  | {
      readonly isHeld: true;
      /** Undefined: there is none, as `lease` answers. */
      readonly next: Lease | undefined;
    }
  | { readonly isHeld: false };

/** What is kept beside the content of a chunk, which itself never changes. */
export interface LeaseNote {
  /** Places of items that are settled, as bits (the first is the highest of the first byte), in base64; those are not to run again. */
  readonly settled?: string;
  /** Attempts that its only item has behind it. */
  readonly attempts?: number;
  /** Milliseconds since the Unix epoch before which its only item does not run again, though its chunk may be leased. */
  readonly dueAtMs?: number;
  /** Number of the lease under which the item was started alone, when it was last. */
  readonly startedUnder?: number;
  /** How often its process died, or did not answer, while it was the only one of its kind that ran. */
  readonly deaths?: number;
}

/** How many chunks a queue has. */
export interface ChunkCounts {
  readonly waiting: number;
  readonly delayed: number;
  /** Chunks that are leased. */
  readonly active: number;
}

/** Told of what goes on in a queue by itself. */
export interface ChunkQueueListener {
  /** The store can't be reached, or answers with an error; it is tried again. */
  troubled(error: Error): void;
  /** Leases of this queue ran out, of whatever process; their chunks wait again. */
  lapsed(count: number): void;
}

/**
 * Chunks of one worker type in a store, first in first out, shared by all processes. What a lease allows is refused, by an
 * answer of `false`, once the lease is lost.
 */
export interface ChunkQueue {
  /**
   * Stores chunks. All of them were looked at before: it fails only when the store does, and then any of them may be there, or
   * come to be there later.
   *
   * @param sent is given the answer, when they are sent: it may come long after an error
   * @returns for each chunk, the id of the one that is there: another's when that has its key
   */
  add(
    chunks: readonly NewChunk[],
    sent?: (answer: Promise<readonly StoredId[]>) => void,
  ): Promise<readonly StoredId[]>;

  /** Begins to look for lapsed leases, of any process. */
  watchLapses(): void;

  /**
   * Leases the next chunk that is due.
   *
   * @param waits whether to wait for one when there is none, up to some seconds
   * @returns undefined when there is none, the queue is paused, or as many are leased as may be at a time
   */
  lease(waits: boolean): Promise<Lease | undefined>;
  /** Makes a `lease` that waits return. */
  stopWaiting(): Promise<void>;

  /** Prolongs leases. @returns the ids of the chunks whose lease is lost */
  renew(leases: readonly Lease[]): Promise<readonly string[]>;
  /** Keeps a note with a leased chunk, for whoever leases it next. Not fenced: only to be called when `renew` has just succeeded. */
  note(lease: Lease, note: LeaseNote): Promise<void>;
  /** The content of a chunk as it was stored, parsed anew; undefined when it is gone. */
  read(chunkId: string): Promise<unknown>;
  /** Ends a chunk: all that was to be done for its items is stored. */
  complete(lease: Lease): Promise<boolean>;
  /** The same, and leases the next chunk that is due with it, in one way to the store. */
  completeAndLease(lease: Lease): Promise<CompletedLease>;
  /** Gives a chunk back, to be leased next. */
  giveBack(lease: Lease): Promise<boolean>;
  /** Gives a chunk back, not to be leased before the moment, in milliseconds since the Unix epoch. */
  postpone(lease: Lease, dueAtMs: number): Promise<boolean>;

  counts(): Promise<ChunkCounts>;
  /** The ids of the first chunks of a state, and when the first of them was stored, in milliseconds since the Unix epoch. */
  ids(
    state: keyof ChunkCounts,
    limit: number,
  ): Promise<{ readonly ids: readonly string[]; readonly oldestAtMs: number | undefined }>;
  /** Makes all delayed chunks due that are retries. @returns their ids */
  releaseRetries(): Promise<readonly string[]>;
  /** Ends its own connections. What is leased lapses. */
  close(): Promise<void>;
}
