import type { LetterShelf, ShelvedLetter, StoredLetter, TakenLetters } from '../durable/letter-shelf.js';
import { TextQueue } from './chunk-job.js';
import { encodeKeyPart, typeKeyPrefix } from './key-names.js';
import { pipelined, runScript, type LuaScript } from './lua-script.js';
import type { RedisLink } from './redis-link.js';
import { RedisTakenLetters } from './redis-taken-letters.js';

const QUEUE_NAME = 'dead';
/** All letters have the same priority: BullMQ then numbers them as it stores them, in one step. */
const PRIORITY = 1;
/** What BullMQ's number of the first job of that priority comes after. */
const SEQUENCE_START = PRIORITY * 2 ** 32;
/** Letters that are removed in one step, at the most. */
const REMOVED_AT_ONCE = 500;

/**
 * KEYS: 1 BullMQ's set of waiting jobs that have a priority. ARGV: 1 what a job's key begins with, then for each letter its id and
 * the number that it was read with. Of several who remove the same letter, one is told that it was there; BullMQ's own script tells
 * all. A letter that has been replaced since has another number.
 */
const removeLetters: LuaScript = {
  name: 'workerRemoveLetters',
  keys: 1,
  lua: `
local removed = {}
for at = 2, #ARGV, 2 do
  local id = ARGV[at]
  if tonumber(redis.call('ZSCORE', KEYS[1], id) or -1) == tonumber(ARGV[at + 1]) then
    redis.call('ZREM', KEYS[1], id)
    redis.call('DEL', ARGV[1] .. id)
    table.insert(removed, id)
  end
end
return removed`,
};

/** Dead letters as jobs of a BullMQ queue that nobody works on. */
export class BullmqLetterShelf implements LetterShelf {
  readonly taken: TakenLetters;
  private made: TextQueue | undefined = undefined;

  constructor(
    private readonly link: RedisLink,
    private readonly prefix: string,
    private readonly type: string,
  ) {
    this.taken = new RedisTakenLetters(link, prefix, type, {
      order: () => this.order,
      jobPrefix: () => this.queue.toKey(''),
      jobId: toJobId,
      numberOf: (sequence) => SEQUENCE_START + sequence,
      toLetter,
    });
  }

  async add(
    letters: readonly StoredLetter[],
  ): Promise<{ readonly shelved: readonly ShelvedLetter[]; readonly count: number }> {
    const jobs = letters.map((letter) => ({
      name: letter.reason,
      data: JSON.stringify(letter),
      opts: { jobId: toJobId(letter.id), priority: PRIORITY },
    }));
    return this.link.persist(async () => {
      await this.removeEarlier(letters);
      if (jobs.length > 0) await this.queue.addBulk(jobs);
      const shelved = await this.findNow(letters.map(({ id }) => id));
      return { shelved, count: await this.countNow() };
    });
  }

  /** Those that tell of an earlier death of the same items. */
  private async removeEarlier(letters: readonly StoredLetter[]): Promise<void> {
    const deaths = new Map(letters.map(({ id, diedAtMs }) => [id, diedAtMs]));
    const there = await this.findNow([...deaths.keys()]);
    const earlier = there.filter(({ id, diedAtMs }) => diedAtMs !== deaths.get(id));
    if (earlier.length > 0) await this.removeNow(earlier);
  }

  count(): Promise<number> {
    return this.link.ask(() => this.countNow());
  }

  async list(after: number, limit: number): Promise<readonly ShelvedLetter[]> {
    if (limit <= 0) return [];
    return this.link.ask(async () => {
      const found = await this.link.client.zrangebyscore(
        this.order,
        `(${SEQUENCE_START + after}`,
        '+inf',
        'WITHSCORES',
        'LIMIT',
        0,
        limit,
      );
      const jobIds = found.filter((_, place) => place % 2 === 0);
      return this.read(
        jobIds,
        found.filter((_, place) => place % 2 === 1),
      );
    });
  }

  find(ids: readonly string[]): Promise<readonly ShelvedLetter[]> {
    return this.link.ask(() => this.findNow(ids));
  }

  async remove(letters: readonly ShelvedLetter[]): Promise<readonly string[]> {
    const byJobId = new Map(letters.map(({ id }) => [toJobId(id), id]));
    const removed: string[] = [];
    for (let start = 0; start < letters.length; start += REMOVED_AT_ONCE) {
      const part = letters.slice(start, start + REMOVED_AT_ONCE);
      removed.push(...(await this.link.ask(() => this.removeNow(part))));
    }
    return removed.map((jobId) => byJobId.get(jobId)!);
  }

  async close(): Promise<void> {
    await this.made?.close();
  }

  /** BullMQ's queue. It is made once the store is open, as BullMQ gives up one whose first try to connect fails. */
  private get queue(): TextQueue {
    return (this.made ??= new TextQueue(QUEUE_NAME, {
      connection: this.link.client,
      prefix: typeKeyPrefix(this.prefix, this.type),
    }));
  }

  private get order(): string {
    return this.queue.toKey('prioritized');
  }

  private countNow(): Promise<number> {
    return this.link.client.zcard(this.order);
  }

  private async findNow(ids: readonly string[]): Promise<ShelvedLetter[]> {
    if (ids.length === 0) return [];
    const jobIds = ids.map(toJobId);
    const scores = await pipelined(this.link.client, (target) =>
      jobIds.map((jobId) => target.zscore(this.order, jobId)),
    );
    return this.read(jobIds, scores as (string | null)[]);
  }

  private async removeNow(letters: readonly ShelvedLetter[]): Promise<string[]> {
    const removed = await runScript(this.link.client, {
      script: removeLetters,
      keys: [this.order],
      values: [
        this.queue.toKey(''),
        ...letters.flatMap(({ id, sequence }) => [toJobId(id), SEQUENCE_START + sequence]),
      ],
    });
    return removed as string[];
  }

  /** One that was removed meanwhile, or has no score, is left out. */
  private async read(
    jobIds: readonly string[],
    scores: readonly (string | null)[],
  ): Promise<ShelvedLetter[]> {
    const texts = await pipelined(this.link.client, (target) =>
      jobIds.map((jobId) => target.hget(this.queue.toKey(jobId), 'data')),
    );
    return texts.flatMap((text, place) => {
      const score = scores[place];
      if (typeof text !== 'string' || typeof score !== 'string') return [];
      return [toLetter(text, Number(score))];
    });
  }
}

/** BullMQ refuses ids with a colon, and whole numbers. */
function toJobId(id: string): string {
  return `letter-${encodeKeyPart(id)}`;
}

/** @param number BullMQ's */
function toLetter(text: string, number: number): ShelvedLetter {
  const letter = JSON.parse(text) as StoredLetter;
  // JSON leaves out what is undefined.
  const { stack, code, ...error } = letter.error;
  return {
    ...letter,
    payload: letter.payload,
    error: { ...error, stack, code },
    sequence: number - SEQUENCE_START,
  };
}
