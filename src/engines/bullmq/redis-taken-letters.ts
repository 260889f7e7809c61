import { randomUUID } from 'node:crypto';
import type { ShelvedLetter, TakenBatch, TakenLetters } from '../durable/letter-shelf.js';
import { typeKey } from './key-names.js';
import { runScript, type LuaScript } from './lua-script.js';
import type { RedisLink } from './redis-link.js';

/** For how long it is believed that who took letters still puts them back, in milliseconds. */
const BELIEVED_FOR_MS = 60_000;

/** Letters that are taken in one step, at the most. */
const TAKEN_AT_ONCE = 500;

/** Batches that are taken over in one call, at the most. */
const BATCHES_AT_ONCE = 10;

/** A field of a batch beside those of its letters, which are numbers. */
const REOPENED = 'reopened';

/**
 * KEYS: 1 BullMQ's set of waiting jobs that have a priority, 2 the batch, 3 all batches by the time at which they were taken.
 * ARGV: 1 what a job's key begins with, 2 the batch's id, then for each letter its id and the number that it was read with.
 * Who sends it again, as its answer was lost, has the same batch. Returns the letters: their numbers and texts.
 */
const takeLetters: LuaScript = {
  name: 'workerTakeLetters',
  keys: 3,
  lua: `
local time = redis.call('TIME')
for at = 3, #ARGV, 2 do
  local id, number = ARGV[at], ARGV[at + 1]
  if tonumber(redis.call('ZSCORE', KEYS[1], id) or -1) == tonumber(number) then
    redis.call('HSET', KEYS[2], number, redis.call('HGET', ARGV[1] .. id, 'data'))
    redis.call('ZREM', KEYS[1], id)
    redis.call('DEL', ARGV[1] .. id)
    redis.call('ZADD', KEYS[3], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[2])
  end
end
return redis.call('HGETALL', KEYS[2])`,
};

/** KEYS: 1 all batches. ARGV: 1 for how long others are believed, 2 how many. Returns ids of batches that are the caller's from now on. */
const takeOver: LuaScript = {
  name: 'workerTakeOverLetters',
  keys: 1,
  lua: `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[1], 'LIMIT', 0, ARGV[2])
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], now, id) end
return ids`,
};

/** KEYS: 1 the batch. ARGV: 1 the field. One that others have forgotten meanwhile does not come back. */
const markBatch: LuaScript = {
  name: 'workerMarkLetters',
  keys: 1,
  lua: `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
return redis.call('HSET', KEYS[1], ARGV[1], 1)`,
};

/** KEYS: 1 the batch, 2 all batches. ARGV: 1 the batch's id. */
const forgetBatch: LuaScript = {
  name: 'workerForgetLetters',
  keys: 2,
  lua: `
redis.call('DEL', KEYS[1])
return redis.call('ZREM', KEYS[2], ARGV[1])`,
};

/** What the letters of a shelf are to those who take them off. */
export interface TakenFrom {
  /** The key of BullMQ's set of them. */
  readonly order: () => string;
  /** What the keys of their jobs begin with. */
  readonly jobPrefix: () => string;
  readonly jobId: (letterId: string) => string;
  /** BullMQ's number of a letter of this sequence; the difference is the same for all. */
  readonly numberOf: (sequence: number) => number;
  readonly toLetter: (text: string, number: number) => ShelvedLetter;
}

/** Taken letters in Redis: a hash for each batch, by BullMQ's numbers of the letters, and a set of all batches. */
export class RedisTakenLetters implements TakenLetters {
  private readonly all: string;

  constructor(
    private readonly link: RedisLink,
    private readonly prefix: string,
    private readonly type: string,
    private readonly from: TakenFrom,
  ) {
    this.all = typeKey(prefix, type, 'taken');
  }

  async take(letters: readonly ShelvedLetter[]): Promise<TakenBatch> {
    const id = randomUUID();
    try {
      let batch: unknown = [];
      for (let start = 0; start < letters.length; start += TAKEN_AT_ONCE) {
        batch = await this.takePart(id, letters.slice(start, start + TAKEN_AT_ONCE));
      }
      return this.toBatch(id, pairsOf(batch as string[]));
    } catch (error) {
      // Some may have been taken.
      this.abandon(id).catch(() => {});
      throw error;
    }
  }

  private takePart(id: string, letters: readonly ShelvedLetter[]): Promise<unknown> {
    const { order, jobPrefix, jobId, numberOf } = this.from;
    const numbers = letters.flatMap((letter) => [jobId(letter.id), numberOf(letter.sequence)]);
    return this.ask(takeLetters, [order(), this.batchKey(id), this.all], [jobPrefix(), id, ...numbers]);
  }

  async takeOver(): Promise<readonly TakenBatch[]> {
    const ids = await this.ask(takeOver, [this.all], [BELIEVED_FOR_MS, BATCHES_AT_ONCE]);
    return Promise.all((ids as string[]).map((id) => this.read(id)));
  }

  async markReopened(batchId: string): Promise<void> {
    await this.ask(markBatch, [this.batchKey(batchId)], [REOPENED]);
  }

  async abandon(batchId: string): Promise<void> {
    await this.link.persist(() => this.link.client.zadd(this.all, 'XX', 0, batchId));
  }

  async forget(batchId: string): Promise<void> {
    await this.ask(forgetBatch, [this.batchKey(batchId), this.all], [batchId]);
  }

  private async read(id: string): Promise<TakenBatch> {
    const fields = await this.link.ask(() => this.link.client.hgetall(this.batchKey(id)));
    return this.toBatch(id, Object.entries(fields));
  }

  private ask(
    script: LuaScript,
    keys: readonly string[],
    values: readonly (string | number)[],
  ): Promise<unknown> {
    return this.link.ask(() => runScript(this.link.client, { script, keys, values }));
  }

  private toBatch(id: string, fields: readonly (readonly [string, string])[]): TakenBatch {
    const letters = fields
      .filter(([field]) => field !== REOPENED)
      .map(([number, text]) => this.from.toLetter(text, Number(number)))
      .toSorted((a, b) => a.sequence - b.sequence);
    return { id, letters, isReopened: letters.length < fields.length };
  }

  private batchKey(id: string): string {
    return typeKey(this.prefix, this.type, `taken:${id}`);
  }
}

/** Names and values, which a script returns in a row. */
function pairsOf(row: readonly string[]): (readonly [string, string])[] {
  return Array.from({ length: row.length / 2 }, (_, at) => [row[2 * at]!, row[2 * at + 1]!]);
}
