import type { QueueNames, SharedPauseReason, SharedState, TypeState } from '../durable/type-state.js';
import { encodeKeyPart, typeKey, typeKeyPrefix } from './key-names.js';
import { runScript, type LuaScript } from './lua-script.js';
import type { RedisLink } from './redis-link.js';
import {
  addPauseReason,
  beatReplica,
  markOrdered,
  removePauseReason,
  reserveStarts,
} from './type-state-scripts.js';

/** How long a replica counts after it was last heard of, in milliseconds. */
const REPLICA_TTL_MS = 5_000;

/** What of a queue is steered. */
const STEERED = ['meta', 'wait', 'delayed', 'marker'] as const;

/** What all processes know of a worker type, in Redis. Times are those of Redis: the clocks of processes differ. */
export class RedisTypeState implements TypeState {
  private readonly replicas: string;
  private readonly rate: string;
  /** Those of the scripts that steer the queues. */
  private readonly keys: readonly string[];
  private readonly lanes: number;

  constructor(
    private readonly link: RedisLink,
    prefix: string,
    type: string,
    queues: QueueNames,
  ) {
    this.replicas = typeKey(prefix, type, 'replicas');
    this.rate = typeKey(prefix, type, 'rate');
    this.lanes = queues.lanes.length;
    const names = [...queues.lanes, ...queues.partitions].map(encodeKeyPart);
    this.keys = [
      typeKey(prefix, type, 'pause-reasons'),
      typeKey(prefix, type, 'ordered'),
      this.replicas,
      ...names.flatMap((name) => STEERED.map((part) => `${typeKeyPrefix(prefix, type)}:${name}:${part}`)),
    ];
  }

  async beat(replicaId: string): Promise<SharedState> {
    const answer = await this.link.persist(() => this.run(beatReplica, replicaId, REPLICA_TTL_MS));
    const [replicas, isOrdered, pauseReasons] = answer as [number, number, SharedPauseReason[]];
    return { replicas, isOrdered: isOrdered === 1, pauseReasons };
  }

  async leave(replicaId: string): Promise<void> {
    await this.link.persist(() => this.link.client.zrem(this.replicas, replicaId));
  }

  async addPauseReason(reason: SharedPauseReason): Promise<void> {
    await this.say(reason, () => this.run(addPauseReason, reason));
  }

  async removePauseReason(reason: SharedPauseReason): Promise<void> {
    await this.say(reason, () => this.run(removePauseReason, reason));
  }

  async markOrdered(): Promise<void> {
    await this.link.ask(() => this.run(markOrdered));
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

  private run(script: LuaScript, ...values: readonly (string | number)[]): Promise<unknown> {
    return runScript(this.link.client, { script, keys: this.keys, values: [this.lanes, ...values] });
  }

  /** A user who pauses or resumes may not want to wait for Redis; the engine does. */
  private say(reason: SharedPauseReason, command: () => Promise<unknown>): Promise<unknown> {
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
