import { RejectedLetterError } from './errors.js';
import type { Job } from './job.js';
import { findProblems, refuseProblems, text, wholeNumber, type Rules } from './option-rules.js';
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
  /** Its place among all dead letters of the process: a later one has a higher number. */
  readonly sequence: number;
}

/** Which dead letters to list. */
export interface DeadLetterQuery {
  /** Of this worker type only. */
  readonly type?: string;
  /** At the most so many, the oldest first; a whole number, 0 or more, or `Infinity` for all. Default 100. */
  readonly limit?: number;
  /** Those with a higher `sequence`: that of the last one listed gives the next page, whatever became of that one. Default 0. */
  readonly after?: number;
}

/** @throws InvalidOptionsError when the query is none */
export function checkQuery(query: DeadLetterQuery): void {
  refuseProblems('Query of dead letters', findProblems(query, queryRules));
}

const queryRules: Rules<DeadLetterQuery> = {
  type: text,
  limit: (value) => (value === Infinity ? undefined : wholeNumber(0)(value)),
  after: wholeNumber(0),
};

/** Which dead letters to redrive or discard: these ids, all of a type, or of these ids those of a type. */
export type DeadLetterSelection =
  | { readonly ids: readonly string[]; readonly type?: string }
  | { readonly ids?: undefined; readonly type: string };

/** @throws InvalidOptionsError when it selects nothing that there could be */
export function checkSelection(selection: DeadLetterSelection): void {
  const problems = findProblems(selection, selectionRules);
  if (problems.length === 0 && selection.ids === undefined && selection.type === undefined)
    problems.push('expected ids, a type, or both, got neither');
  refuseProblems('Selection of dead letters', problems);
}

const selectionRules: Rules<{ ids: unknown; type: unknown }> = {
  ids: (value) =>
    Array.isArray(value) && value.every((id) => typeof id === 'string')
      ? undefined
      : 'expected an array of ids of dead letters',
  type: text,
};

/** A dead letter with the job that it counts in. */
export interface DeadItem {
  readonly letter: DeadLetter;
  readonly job: Job;
}

/** The dead letters of one worker type, in the order in which they came. Never dropped but by `remove`. */
export class DeadLetterStore {
  private readonly items = new Map<string, DeadItem>();

  get size(): number {
    return this.items.size;
  }

  add(item: DeadItem): void {
    this.items.set(item.letter.id, item);
  }

  /** @returns the item that was removed; undefined when there is none of this id */
  remove(id: string): DeadItem | undefined {
    const item = this.items.get(id);
    this.items.delete(id);
    return item;
  }

  ids(): string[] {
    return [...this.items.keys()];
  }

  /** The ids of those that can be redriven, the oldest first. */
  redrivable(): string[] {
    return this.ids().filter((id) => !this.isRejected(id));
  }

  /** @throws RejectedLetterError when one of `ids` never passed its check */
  refuseRejected(ids: readonly string[]): void {
    const rejected = ids.find((id) => this.isRejected(id));
    if (rejected !== undefined) throw new RejectedLetterError(rejected);
  }

  private isRejected(id: string): boolean {
    return this.items.get(id)?.letter.reason === 'rejected';
  }

  /** At most `limit` dead letters with a higher sequence than `after`, the oldest first. */
  list(after: number, limit: number): DeadLetter[] {
    const found: DeadLetter[] = [];
    for (const { letter } of this.items.values()) {
      if (found.length === limit) break;
      if (letter.sequence > after) found.push(letter);
    }
    return found;
  }
}
