import type { PauseReason } from '../../core/events.js';

/** Why a worker type is paused for all processes. */
export type SharedPauseReason = Extract<PauseReason, 'requested' | 'dead-letters-full'>;

/** What all processes know of a worker type. */
export interface SharedState {
  readonly pauseReasons: readonly SharedPauseReason[];
  /** Processes that have told lately that they live and work on the type, this one included. */
  readonly replicas: number;
  /** The mark that items with an `orderKey` have been stored, which is another one after the store has lost its data; undefined: none have. */
  readonly orderedMark: string | undefined;
}

/** The state of one worker type that all processes share. */
export interface TypeState {
  /** Tells that this process lives and works on the type, for some seconds, and reads the state. */
  beat(replicaId: string): Promise<SharedState>;
  /** This process works on the type no more. */
  leave(replicaId: string): Promise<void>;
  addPauseReason(reason: SharedPauseReason): Promise<void>;
  /** @returns the reasons that are left */
  removePauseReason(reason: SharedPauseReason): Promise<readonly SharedPauseReason[]>;
  /** Marks that items with an `orderKey` are stored. @returns the mark */
  markOrdered(): Promise<string>;
  /**
   * Takes `count` starts of a rate limit that all processes share: a token bucket that holds `burst`.
   *
   * @returns milliseconds to wait before the items may start
   */
  reserveStarts(count: number, max: number, durationMs: number, burst: number): Promise<number>;
}
