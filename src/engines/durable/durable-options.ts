import { wholeNumber, type Rules } from '../../core/option-rules.js';

/** How a durable engine works, whatever its store. */
export interface DurableOptions {
  /** Items that travel together at the most, 1 or more. Default 512. */
  readonly chunkSize: number;
  /** Bytes of JSON that an item's payload may have; a larger one is refused. Default 1,000,000. */
  readonly maxItemBytes: number;
  /** Bytes of JSON that the payloads of a chunk have at the most; a single larger item travels alone. Default 256,000. */
  readonly maxChunkBytes: number;
  /**
   * Queues that the items with an `orderKey` are spread over, each worked on one item at a time; the same for all processes,
   * always. Default 8.
   */
  readonly partitions: number;
  /**
   * How often a process may die, or not answer for longer than a lease, while it works on an item alone, before the item
   * becomes a dead letter (`process-died`); 1 or more. Default 3.
   */
  readonly maxDeaths: number;
  /**
   * Milliseconds for which a process has its items without a sign of life; then others are given them. A handler keeps its
   * items as long as its event loop turns in half of it. 1,000 or more. Default 4,000.
   */
  readonly leaseMs: number;
}

export const DURABLE_DEFAULTS: DurableOptions = Object.freeze({
  chunkSize: 512,
  maxItemBytes: 1_000_000,
  maxChunkBytes: 256_000,
  partitions: 8,
  maxDeaths: 3,
  leaseMs: 4_000,
});

export const durableRules: Rules<DurableOptions> = {
  chunkSize: wholeNumber(1, 10_000),
  maxItemBytes: wholeNumber(1),
  maxChunkBytes: wholeNumber(1),
  partitions: wholeNumber(1, 1_024),
  maxDeaths: wholeNumber(1),
  leaseMs: wholeNumber(1_000),
};
