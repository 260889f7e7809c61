import type { PauseReason } from '../../core/events.js';

/** Why a worker type is paused for all processes. */
export type SharedPauseReason = Extract<PauseReason, 'requested' | 'dead-letters-full'>;

/** The names of all queues that a worker type may have. */
export interface QueueNames {
  readonly lanes: readonly string[];
  readonly partitions: readonly string[];
}

/** What all processes know of a worker type. */
export interface SharedState {
  /** Not empty: no chunk of the type is leased, by any process. */
  readonly pauseReasons: readonly SharedPauseReason[];
  /** Processes that have told lately that they live and work on the type, this one included. */
  readonly replicas: number;
  /** Whether items with an `orderKey` have ever been stored, as far as the store knows: it may have lost its data. */
  readonly isOrdered: boolean;
}

/**
 * The state of one worker type that all processes share. The queues do what it says from the same moment on: while there is a
 * reason to pause, none of them gives a lease, and a partition gives one at a time.
 */
export interface TypeState {
  /** Tells that this process lives and works on the type, for some seconds, reads the state, and sets queues right that do otherwise. */
  beat(replicaId: string): Promise<SharedState>;
  /** This process works on the type no more. */
  leave(replicaId: string): Promise<void>;
  addPauseReason(reason: SharedPauseReason): Promise<void>;
  removePauseReason(reason: SharedPauseReason): Promise<void>;
  /** Says that items with an `orderKey` are about to be stored. Before each store of some, as the store may have lost its data. */
  markOrdered(): Promise<void>;
  /**
   * Takes `count` starts of a rate limit that all processes share: a token bucket that holds `burst`.
   *
   * @returns milliseconds to wait before the items may start
   */
  reserveStarts(count: number, max: number, durationMs: number, burst: number): Promise<number>;
}
