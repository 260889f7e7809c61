import type { DeadReason } from './outcome.js';

/** An item whose attempts are used up, or that can never succeed. */
export interface DeadLetter<Payload = unknown> {
  /** The item's id. */
  readonly id: string;
  readonly type: string;
  readonly jobId: string;
  readonly index: number;
  readonly payload: Payload;
  readonly reason: DeadReason;
  /** Error of the last attempt. */
  readonly error: Error;
  /** Attempts that were made; 0 when it was refused before the first. */
  readonly attempts: number;
  /** Milliseconds since the Unix epoch. */
  readonly diedAtMs: number;
}

/** Which dead letters to list. */
export interface DeadLetterQuery {
  /** Of this worker type only. */
  readonly type?: string;
  /** At the most so many, the oldest first. Default 100. */
  readonly limit?: number;
  /** Those that came after the one with this id; none when that one is kept no more. */
  readonly after?: string;
}

/** Which dead letters to redrive or discard: these ids, or all of a type. */
export type DeadLetterSelection = { readonly ids: readonly string[] } | { readonly type: string };

/** The dead letters of one worker type, in the order in which they came. Never dropped but by `remove`. */
export class DeadLetterStore<Entry extends { readonly letter: DeadLetter }> {
  private readonly entries = new Map<string, Entry>();

  get size(): number {
    return this.entries.size;
  }

  add(entry: Entry): void {
    this.entries.set(entry.letter.id, entry);
  }

  has(id: string): boolean {
    return this.entries.has(id);
  }

  /** @returns the entry that was removed; undefined when there is none of this id */
  remove(id: string): Entry | undefined {
    const entry = this.entries.get(id);
    this.entries.delete(id);
    return entry;
  }

  ids(): string[] {
    return [...this.entries.keys()];
  }

  *letters(): IterableIterator<DeadLetter> {
    for (const { letter } of this.entries.values()) yield letter;
  }
}
