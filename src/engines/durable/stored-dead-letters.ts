import {
  checkQuery,
  checkSelection,
  type DeadLetter,
  type DeadLetterQuery,
  type DeadLetterSelection,
} from '../../core/dead-letters.js';
import { RejectedLetterError, UnknownWorkerTypeError } from '../../core/errors.js';
import { refuseProblems } from '../../core/option-rules.js';
import type { Workloads } from '../../core/workloads.js';
import type { DurableType } from './durable-type.js';
import { toDeadLetter } from './letters.js';
import type { ShelvedLetter } from './letter-shelf.js';

/** Letters that are read, redriven or discarded in one call. */
const AT_ONCE = 1_000;

/**
 * Letters of items that their source keeps are kept by this process alone, and come after all others in the lists: what they
 * have for a sequence number begins here.
 */
const FIRST_LOCAL = 2 ** 52;

/** The dead letters of all worker types: those in the store, and those that this process keeps. */
export class StoredDeadLetters {
  constructor(
    private readonly types: ReadonlyMap<string, DurableType>,
    private readonly workloads: Workloads,
  ) {}

  async list(query: DeadLetterQuery): Promise<DeadLetter[]> {
    checkQuery(query);
    const { type, limit = 100, after = 0 } = query;
    if (type === undefined && after > 0) {
      refuseProblems('Query of dead letters', [
        'type: expected one beside after, as each type has its own sequence on a durable engine',
      ]);
    }
    const stored = await Promise.all(this.select(type).map((one) => this.listOf(one, after, limit)));
    const local = this.workloads
      .deadLetters({ ...query, limit, after: Math.max(0, after - FIRST_LOCAL) })
      .map((letter) => Object.freeze({ ...letter, sequence: letter.sequence + FIRST_LOCAL }));
    const letters = stored.flat();
    if (type === undefined) letters.sort((a, b) => a.diedAtMs - b.diedAtMs);
    return [...letters, ...local].slice(0, limit);
  }

  private async listOf({ type, letters }: DurableType, after: number, limit: number): Promise<DeadLetter[]> {
    const listed: DeadLetter[] = [];
    let last = after;
    while (last < FIRST_LOCAL && listed.length < limit) {
      const part = await letters.list(last, Math.min(AT_ONCE, limit - listed.length));
      if (part.length === 0) break;
      listed.push(...part.map((letter) => toDeadLetter(type, letter)));
      last = part.at(-1)!.sequence;
    }
    return listed;
  }

  async redrive(selection: DeadLetterSelection): Promise<number> {
    checkSelection(selection);
    const { ids, type } = selection;
    const types = this.select(type);
    if (ids !== undefined) await this.refuseRejected(types, ids);
    let redriven = this.workloads.redrive(selection);
    for (const one of types) {
      redriven += await this.finishAbandoned(one, ids);
      redriven += await this.eachPart(one, ids, (part) => this.redrivePart(one, part));
    }
    return redriven;
  }

  async discard(selection: DeadLetterSelection): Promise<number> {
    checkSelection(selection);
    const { ids, type } = selection;
    let discarded = this.workloads.discard(selection);
    for (const one of this.select(type)) {
      discarded += await this.eachPart(one, ids, (part) => this.removeFrom(one, part));
    }
    return discarded;
  }

  /** @throws RejectedLetterError when one of `ids` never passed its check */
  private async refuseRejected(types: readonly DurableType[], ids: readonly string[]): Promise<void> {
    for (const { letters } of types) {
      const rejected = (await letters.find(ids)).find(({ reason }) => reason === 'rejected');
      if (rejected !== undefined) throw new RejectedLetterError(rejected.id);
    }
  }

  /** @param act answers with how many of the letters it has dealt with */
  private async eachPart(
    { letters }: DurableType,
    ids: readonly string[] | undefined,
    act: (letters: readonly ShelvedLetter[]) => Promise<number>,
  ): Promise<number> {
    if (ids !== undefined) return act(await letters.find(ids));
    let count = 0;
    let after = 0;
    // No more than there are now: items that die again meanwhile would be redriven for ever.
    let left = await letters.count();
    while (left > 0) {
      const part = await letters.list(after, Math.min(AT_ONCE, left));
      if (part.length === 0) break;
      count += await act(part);
      after = part.at(-1)!.sequence;
      left -= part.length;
    }
    return count;
  }

  private async redrivePart(type: DurableType, letters: readonly ShelvedLetter[]): Promise<number> {
    const redrivable = letters.filter(({ reason }) => reason !== 'rejected');
    if (redrivable.length === 0) return 0;
    const redriven = (await type.redrives.redrive(redrivable)).length;
    if (redriven > 0) await type.resumeWhenRoomForDead();
    return redriven;
  }

  /** What an earlier redrive has left undone is still to be done. @returns how many of the selected letters */
  private async finishAbandoned(type: DurableType, ids: readonly string[] | undefined): Promise<number> {
    const finished = await type.redrives.finishAbandoned();
    return ids === undefined ? finished.length : finished.filter(({ id }) => ids.includes(id)).length;
  }

  private async removeFrom(type: DurableType, letters: readonly ShelvedLetter[]): Promise<number> {
    const removed = await type.letters.remove(letters);
    if (removed.length > 0) await type.resumeWhenRoomForDead();
    return removed.length;
  }

  /** @throws UnknownWorkerTypeError */
  private select(type: string | undefined): DurableType[] {
    if (type === undefined) return [...this.types.values()];
    const one = this.types.get(type);
    if (one === undefined) throw new UnknownWorkerTypeError(type, [...this.types.keys()]);
    return [one];
  }
}
