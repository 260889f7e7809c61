import { randomBytes } from 'node:crypto';
import type {
  EndedItems,
  JobRecord,
  JobRecords,
  SourceEndRecord,
  SubmittedCounts,
} from '../durable/job-records.js';
import {
  acceptItems,
  cancelRecord,
  createRecord,
  raiseItems,
  reopenItems,
  sealRecord,
} from './job-record-scripts.js';
import { jobKey } from './key-names.js';
import { pipelined, runScript, runScripts, type LuaScript, type ScriptCall } from './lua-script.js';
import type { RedisLink } from './redis-link.js';
import type { RedisStoreOptions } from './redis-store-options.js';

/** Job records in Redis: a hash and two bits an item for each job, which expire. */
export class RedisJobRecords implements JobRecords {
  /** Tells the calls of this object from those of all others. */
  private readonly teller = randomBytes(6).toString('base64url');
  private calls = 0;
  /** The last of the calls that have to come one after another, by their job. */
  private readonly turns = new Map<string, Promise<unknown>>();

  constructor(
    private readonly link: RedisLink,
    private readonly options: Pick<RedisStoreOptions, 'prefix' | 'recordTtlMs' | 'endedRecordTtlMs'>,
  ) {}

  async create(id: string, type: string): Promise<void> {
    await this.ask(this.call(createRecord, id, [type]));
  }

  async accept(id: string, count: number, duplicates: number): Promise<boolean> {
    const call = this.call(acceptItems, id, [count, duplicates, this.teller, ++this.calls]);
    // The numbers of the calls tell what is new only as long as none overtakes another.
    const write = () => this.link.persist(() => runScript(this.link.client, call));
    const answer = await this.link.insist(() => this.inTurn(id, write));
    return answer === 1;
  }

  private inTurn(id: string, act: () => Promise<unknown>): Promise<unknown> {
    const before = this.turns.get(id) ?? Promise.resolve();
    const answer = before.then(act, act);
    const turn: Promise<void> = answer.then(
      () => this.endTurn(id, turn),
      () => this.endTurn(id, turn),
    );
    this.turns.set(id, turn);
    return answer;
  }

  private endTurn(id: string, turn: Promise<unknown>): void {
    if (this.turns.get(id) === turn) this.turns.delete(id);
  }

  async seal(
    id: string,
    end: SourceEndRecord,
    { accepted, duplicates }: SubmittedCounts,
    sent?: (written: Promise<unknown>) => void,
  ): Promise<void> {
    const call = this.call(sealRecord, id, [JSON.stringify(end), accepted, duplicates]);
    await this.link.insist(() => runScript(this.link.client, call), sent);
  }

  async raise(ended: readonly EndedItems[]): Promise<void> {
    const ranges = new Map<string, (string | number)[]>();
    for (const { jobId, index, count, as } of ended) {
      if (count <= 0) continue;
      const ofJob = ranges.get(jobId) ?? [];
      ofJob.push(index, count, as);
      ranges.set(jobId, ofJob);
    }
    const calls = [...ranges].map(([jobId, values]) => this.call(raiseItems, jobId, values));
    await this.link.persist(() => runScripts(this.link.client, calls));
  }

  async reopen(id: string, indices: readonly number[]): Promise<void> {
    await this.ask(this.call(reopenItems, id, indices));
  }

  async cancel(id: string, sent?: (answer: Promise<boolean>) => void): Promise<boolean> {
    const call = this.call(cancelRecord, id, [`${this.teller}:${++this.calls}`]);
    return this.link.insist(async () => (await runScript(this.link.client, call)) === 1, sent);
  }

  async cancelled(ids: readonly string[]): Promise<ReadonlySet<string>> {
    if (ids.length === 0) return new Set();
    const { client } = this.link;
    const marks = await this.link.persist(async () => {
      // A pipeline costs more than a single command does.
      if (ids.length === 1) return [await client.hexists(this.recordKey(ids[0]!), 'cancelled')];
      return pipelined(client, (target) => ids.map((id) => target.hexists(this.recordKey(id), 'cancelled')));
    });
    return new Set(ids.filter((_, place) => marks[place] === 1));
  }

  async read(ids: readonly string[]): Promise<readonly (JobRecord | undefined)[]> {
    if (ids.length === 0) return [];
    const hashes = await this.link.ask(() =>
      pipelined(this.link.client, (target) => ids.map((id) => target.hgetall(this.recordKey(id)))),
    );
    return ids.map((id, place) => toRecord(id, hashes[place] as Record<string, string>));
  }

  private ask(call: ScriptCall): Promise<unknown> {
    return this.link.ask(() => runScript(this.link.client, call));
  }

  private call(script: LuaScript, id: string, values: readonly (string | number)[]): ScriptCall {
    const { recordTtlMs, endedRecordTtlMs } = this.options;
    return {
      script,
      keys: [this.recordKey(id), jobKey(this.options.prefix, id, 'ended')],
      values: [Math.ceil(recordTtlMs), Math.ceil(endedRecordTtlMs), ...values],
    };
  }

  private recordKey(id: string): string {
    return jobKey(this.options.prefix, id, 'record');
  }
}

function toRecord(id: string, hash: Record<string, string>): JobRecord | undefined {
  if (hash['type'] === undefined) return undefined;
  return {
    id,
    type: hash['type'],
    accepted: Number(hash['accepted']),
    done: Number(hash['done']),
    dead: Number(hash['dead']),
    isSealed: hash['sealed'] !== undefined,
    sourceEnd: hash['sealed'] === undefined ? undefined : (JSON.parse(hash['sealed']) as SourceEndRecord),
    isCancelled: hash['cancelled'] !== undefined,
    duplicates: Number(hash['duplicates']),
  };
}
