import { randomBytes } from 'node:crypto';
import type { SharedPauseReason, SharedState, TypeState } from '../durable/type-state.js';
import { typeKey } from './key-names.js';
import { runScript } from './lua-script.js';
import type { RedisLink } from './redis-link.js';
import { beatReplica, dropPauseReason, markOrdered, reserveStarts } from './type-state-scripts.js';

/** How long a replica counts after it was last heard of, in milliseconds. */
const REPLICA_TTL_MS = 5_000;

/** What all processes know of a worker type, in Redis. Times are those of Redis: the clocks of processes differ. */
export class RedisTypeState implements TypeState {
  private readonly replicas: string;
  private readonly pauseReasons: string;
  private readonly ordered: string;
  private readonly rate: string;

  constructor(
    private readonly link: RedisLink,
    prefix: string,
    type: string,
  ) {
    this.replicas = typeKey(prefix, type, 'replicas');
    this.pauseReasons = typeKey(prefix, type, 'pause-reasons');
    this.ordered = typeKey(prefix, type, 'ordered');
    this.rate = typeKey(prefix, type, 'rate');
  }

  async beat(replicaId: string): Promise<SharedState> {
    const answer = await this.link.persist(() =>
      runScript(this.link.client, {
        script: beatReplica,
        keys: [this.replicas, this.pauseReasons, this.ordered],
        values: [replicaId, REPLICA_TTL_MS],
      }),
    );
    const [replicas, mark, pauseReasons] = answer as [number, string, SharedPauseReason[]];
    return { replicas, orderedMark: mark === '' ? undefined : mark, pauseReasons };
  }

  async leave(replicaId: string): Promise<void> {
    await this.link.persist(() => this.link.client.zrem(this.replicas, replicaId));
  }

  async addPauseReason(reason: SharedPauseReason): Promise<void> {
    await this.say(reason, () => this.link.client.sadd(this.pauseReasons, reason));
  }

  async removePauseReason(reason: SharedPauseReason): Promise<readonly SharedPauseReason[]> {
    const left = await this.say(reason, () =>
      runScript(this.link.client, {
        script: dropPauseReason,
        keys: [this.pauseReasons],
        values: [reason],
      }),
    );
    return left as SharedPauseReason[];
  }

  async markOrdered(): Promise<string> {
    const mark = randomBytes(6).toString('base64url');
    const answer = await this.link.ask(() =>
      runScript(this.link.client, { script: markOrdered, keys: [this.ordered], values: [mark] }),
    );
    return answer as string;
  }

  async reserveStarts(count: number, max: number, durationMs: number, burst: number): Promise<number> {
    const waitMs = await this.link.persist(() =>
      runScript(this.link.client, {
        script: reserveStarts,
        keys: [this.rate],
        values: [count, (durationMs * 1_000) / max, burst],
      }),
    );
    return waitMs as number;
  }

  /** A user who pauses or resumes may not want to wait for Redis; the engine does. */
  private say<T>(reason: SharedPauseReason, command: () => Promise<T>): Promise<T> {
    switch (reason) {
      case 'requested':
        return this.link.ask(command);
      case 'dead-letters-full':
        return this.link.persist(command);
      default:
        throw reason satisfies never;
    }
  }
}
