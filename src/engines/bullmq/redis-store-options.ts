import type { ClusterNode, ClusterOptions, RedisOptions } from 'ioredis';
import { describe } from '../../core/describe.js';
import {
  duration,
  findProblems,
  given,
  number,
  oneOf,
  refuseProblems,
  type Rule,
  type Rules,
} from '../../core/option-rules.js';

/** A Redis Cluster, as ioredis takes it. */
export interface RedisClusterAddress {
  /** Some of its nodes; the others are found by them. */
  readonly nodes: readonly ClusterNode[];
  readonly options?: ClusterOptions;
}

/** What becomes of a submission, or of any other question, while Redis can't be reached. */
export type WhenDown =
  /** It rejects at once with `StoreUnavailableError`. */
  | 'fail'
  /** It waits until Redis is back. */
  | 'wait';

/** How a Redis store is reached and what it keeps, in full. Durations are milliseconds. */
export interface RedisStoreOptions {
  /** As in `redis://user:password@127.0.0.1:6379/0`. Exactly one of `url`, `connection` and `cluster` is given. */
  readonly url: string | undefined;
  /** Options of ioredis, Sentinel's included; may be given beside `url`, for what that does not say. */
  readonly connection: RedisOptions | undefined;
  readonly cluster: RedisClusterAddress | undefined;
  /** Stands before all keys: whoever uses the same Redis with the same prefix works on the same items. Default `worker`. */
  readonly prefix: string;
  /** In which Redis has to answer at the start. Default 10,000. */
  readonly connectTimeoutMs: number;
  /** For which a chunk is leased; it is prolonged while its process lives. Default 4,000. */
  readonly leaseMs: number;
  /** Between two looks for leases that ran out. Default 4,000. */
  readonly lapseCheckMs: number;
  /** Default `fail`. */
  readonly whenDown: WhenDown;
  /** For which the record of a job whose source has not ended is kept while none of its items waits. Default 7 days. */
  readonly recordTtlMs: number;
  /** For which the record of a job is kept when none of its items is left. Default 1 day. */
  readonly endedRecordTtlMs: number;
}

/** `RedisStoreOptions` as a user gives them: where Redis is, and what shall differ from the defaults. */
export type RedisStoreOptionsInput = Partial<RedisStoreOptions>;

const DAY_MS = 24 * 60 * 60_000;

const DEFAULTS: RedisStoreOptions = {
  url: undefined,
  connection: undefined,
  cluster: undefined,
  prefix: 'worker',
  connectTimeoutMs: 10_000,
  leaseMs: 4_000,
  lapseCheckMs: 4_000,
  whenDown: 'fail',
  recordTtlMs: 7 * DAY_MS,
  endedRecordTtlMs: DAY_MS,
};

/** What the store decides itself: with other values it would lose what it promises. */
const OWN_CONNECTION_OPTIONS = [
  'keyPrefix',
  'lazyConnect',
  'enableOfflineQueue',
  'maxRetriesPerRequest',
  'autoResendUnfulfilledCommands',
] as const;

const redisUrl: Rule = (value) => {
  if (typeof value !== 'string' || !/^rediss?:\/\/./.test(value) || !URL.canParse(value)) {
    return 'expected an address as in redis://127.0.0.1:6379';
  }
  const { searchParams } = new URL(value);
  return refuseOwn((name) => searchParams.has(name));
};

const connectionOptions: Rule = (value) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'expected options of ioredis (an object)';
  }
  return refuseOwn((name) => Object.hasOwn(value, name));
};

function refuseOwn(isGiven: (name: string) => boolean): string | undefined {
  const own = OWN_CONNECTION_OPTIONS.filter(isGiven);
  return own.length === 0 ? undefined : `expected options without ${own.join(', ')}, which the store decides`;
}

const clusterAddress: Rule = (value) => {
  const { nodes, options } = (value ?? {}) as { nodes?: unknown; options?: { redisOptions?: unknown } };
  if (!Array.isArray(nodes) || nodes.length === 0) return 'expected { nodes: [one or more], options }';
  if (options === undefined) return undefined;
  return connectionOptions(options) ?? connectionOptions(options.redisOptions ?? {});
};

const keyPrefix: Rule = (value) =>
  typeof value === 'string' && /^[^{}]+$/.test(value)
    ? undefined
    : 'expected a text that is not empty, without { and }';

/** Longer than a `duration`, which has to fit a timer. */
const keptFor = number(1);

const atLeastOne: Rule = (value) =>
  duration(value) ?? ((value as number) >= 1 ? undefined : 'expected milliseconds from 1');

const rules: Rules<RedisStoreOptions> = {
  url: redisUrl,
  connection: connectionOptions,
  cluster: clusterAddress,
  prefix: keyPrefix,
  connectTimeoutMs: atLeastOne,
  leaseMs: atLeastOne,
  lapseCheckMs: atLeastOne,
  whenDown: oneOf('what to do while Redis is down', ['fail', 'wait']),
  recordTtlMs: keptFor,
  endedRecordTtlMs: keptFor,
};

/**
 * The options with their defaults.
 *
 * @throws InvalidOptionsError with a line for each that is wrong
 */
export function resolveRedisStoreOptions(input: RedisStoreOptionsInput): RedisStoreOptions {
  refuseProblems('Redis store', [...findProblems(input, rules), ...findAddressProblems(input)]);
  return { ...DEFAULTS, ...given(input) };
}

function findAddressProblems(input: RedisStoreOptionsInput): string[] {
  if (typeof input !== 'object' || input === null) return [];
  const { url, connection, cluster } = input;
  if (cluster !== undefined) {
    return [
      ...(url === undefined ? [] : [`url: expected none beside cluster, got ${describe(url)}`]),
      ...(connection === undefined
        ? []
        : [`connection: expected none beside cluster, got ${describe(connection)}`]),
    ];
  }
  if (url !== undefined || connection !== undefined) return [];
  return ['url: expected an address as in redis://127.0.0.1:6379 (or connection, or cluster), got undefined'];
}
