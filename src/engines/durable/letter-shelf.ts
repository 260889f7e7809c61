import type { DeadReason } from '../../core/outcome.js';

/** A dead letter as a store keeps it. */
export interface StoredLetter {
  /** The item's id. */
  readonly id: string;
  readonly jobId: string;
  readonly index: number;
  readonly payload: unknown;
  readonly reason: DeadReason;
  readonly error: StoredError;
  readonly attempts: number;
  /** Milliseconds since the Unix epoch. */
  readonly diedAtMs: number;
  /** Whether a record is kept of the job. */
  readonly isTracked: boolean;
}

export interface StoredError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** The `code` of a typed error. */
  readonly code: string | undefined;
}

/** A stored letter with its place among all that were ever stored: a later one has a higher number. */
export interface ShelvedLetter extends StoredLetter {
  readonly sequence: number;
}

/** The dead letters of one worker type in a store. */
export interface LetterShelf {
  /**
   * Stores letters. One that is there already stays as it is when it tells of the same death, and is replaced when it tells of
   * an earlier one: the item was redriven since.
   *
   * @returns them with their sequence numbers, and how many letters there are now
   */
  add(
    letters: readonly StoredLetter[],
  ): Promise<{ readonly shelved: readonly ShelvedLetter[]; readonly count: number }>;
  count(): Promise<number>;
  /** At most `limit` letters with a higher sequence than `after`, the oldest first. */
  list(after: number, limit: number): Promise<readonly ShelvedLetter[]>;
  /** The letters of these ids that are there, in any order. */
  find(ids: readonly string[]): Promise<readonly ShelvedLetter[]>;
  /** Removes letters as they were read: one that has been replaced since stays. @returns the ids of those that were there */
  remove(letters: readonly ShelvedLetter[]): Promise<readonly string[]>;
}
