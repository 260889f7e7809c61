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
  /** The name of the queue that it came from, where a redrive puts it back. Undefined: it never was in one. */
  readonly queue?: string | undefined;
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
  readonly taken: TakenLetters;
}

/** Letters that were taken off a shelf together, to be put back into their queues. */
export interface TakenBatch {
  readonly id: string;
  /** The oldest first. */
  readonly letters: readonly ShelvedLetter[];
  /** Whether the records of their jobs know that they run again. */
  readonly isReopened: boolean;
}

/** What has been taken off a shelf and is not back in its queue. It is kept until it is, whoever dies meanwhile. */
export interface TakenLetters {
  /** Takes letters off as they were read: not one that others have taken, or that has been replaced since. */
  take(letters: readonly ShelvedLetter[]): Promise<TakenBatch>;
  /** Takes over what others have abandoned, or have had for more than a minute, so that their process is dead. */
  takeOver(): Promise<readonly TakenBatch[]>;
  markReopened(batchId: string): Promise<void>;
  /** Others may take it over at once. */
  abandon(batchId: string): Promise<void>;
  /** The letters are back in their queues. */
  forget(batchId: string): Promise<void>;
}
