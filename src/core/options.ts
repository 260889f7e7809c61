import type { Clock } from './clock.js';
import { systemClock } from './clock.js';
import type { DeadLetter } from './dead-letters.js';
import type { EngineFactory } from './engine.js';
import type { UnfinishedItem } from './events.js';
import {
  boolean,
  duration,
  findMissing,
  findProblems,
  func,
  given,
  hasMethods,
  number,
  refuseProblems,
  wholeNumber,
  type Rule,
  type Rules,
} from './option-rules.js';
import type { RateLimit } from './rate-limiter.js';
import type { RetryPolicy } from './retry-policy.js';
import { thresholdScaling, type ScalingPolicy } from './scaling-policy.js';

/** How one worker type works. Every option may be set for all types (process options) and for one. */
export interface WorkerTypeOptions {
  /** Most workers of the type at a time, 1 or more; never more than the process's `maxConcurrency`, the default. */
  readonly maxConcurrency: number;
  /** Workers that stay when there is nothing to do. Default 0: none. */
  readonly minWorkers: number;
  /** Items for each worker: at n × `scalingThreshold` items there are n workers. Default 10. */
  readonly scalingThreshold: number;
  /** Milliseconds for which fewer workers must be wanted before some are taken away. 0: at once. Default 1,000. */
  readonly scaleDownDelayMs: number;
  /** How many workers a queue wants. Default `thresholdScaling`. */
  readonly scalingPolicy: ScalingPolicy;
  /** Items that may wait, delayed ones included, 1 or more; further ones make their producer wait. Default 100,000. */
  readonly maxQueueSize: number;
  /** Submissions that may wait for room at a time; a further one rejects with `QueueFullError`. Default 10,000. */
  readonly maxWaitingProducers: number;
  /**
   * Whether submissions may have a `priority`: of 21 items that start while all lanes have some, 16 are high, 4 normal and 1 low.
   * Default false: one lane.
   */
  readonly priorities: boolean;
  /**
   * Items that `processBatch` is given at the most, 1 or more. Default 100. Of no use to `processItem`. Under a `rateLimit`, as many
   * as may start at once, if that is less.
   */
  readonly batchSize: number;
  /**
   * Milliseconds that an attempt may take. Beyond, it is aborted and counts as failed, and its worker is replaced.
   * 0: no limit. Default 60,000. Looked at every eighth of it, at least each second: never early, at the latest two looks late.
   */
  readonly timeoutMs: number;
  /** Milliseconds without work after which a worker above `minWorkers` ends. 0: at once. Default 10,000. */
  readonly idleTimeoutMs: number;
  /**
   * How many attempts of the type may start in a time, in this process, evenly spread; a tenth of `max`, at least one, may start at
   * once after a rest. Those of a batch count each. Set for all types, it holds for each by itself. Default: as many as workers can.
   */
  readonly rateLimit: RateLimit | undefined;
  /** What happens to a failed item. */
  readonly retry: RetryPolicy;
  /** Dead letters that are kept, 1 or more; at this number the type pauses until some are redriven or discarded. Default 10,000. */
  readonly maxDeadLetters: number;
  /**
   * Handlers, starts and stops of workers that may still run after their time limit, 0 or more; beyond this number the type
   * pauses until some return. Default: `maxConcurrency`.
   */
  readonly maxAbandoned: number;
}

/** `WorkerTypeOptions` as a user gives them: all may be left out. */
export type WorkerTypeOptionsInput = Partial<Omit<WorkerTypeOptions, 'retry' | 'rateLimit'>> & {
  readonly retry?: Partial<RetryPolicy>;
  /** `WorkerTypeOptions.rateLimit`; false: none, where there is one for all types. */
  readonly rateLimit?: RateLimit | false | undefined;
};

/** Options of a worker process as a user gives them. Those of a worker type are the defaults for all types. */
export interface WorkerProcessOptionsInput extends Omit<WorkerTypeOptionsInput, 'maxConcurrency'> {
  /** Most workers at a time over all types, 1 or more. Default 10. */
  readonly maxConcurrency?: number;
  /** Where items wait. Default: in the memory of this process. */
  readonly engine?: EngineFactory;
  /** Milliseconds in which `shutdown` lets work finish before it aborts what still runs. 0: aborts at once. Default 20,000. */
  readonly shutdownTimeoutMs?: number;
  /** Milliseconds that an aborted handler has to return before it is left alone. 0: it is left at once. Default 1,000. */
  readonly abortGraceMs?: number;
  /** Milliseconds that `onUnfinished` and `onDeadLetters` may take, both together. 0: any time. Default 10,000. */
  readonly handOverTimeoutMs?: number;
  /** Whether a shutdown works off the queues as well, or only lets running items finish. Default true. */
  readonly drainOnShutdown?: boolean;
  /** Whether workers start as soon as there is work; else `start` has to be called. Default true. */
  readonly autoStart?: boolean;
  /**
   * Is given what a shutdown could not finish; the shutdown waits for it, at most `handOverTimeoutMs`. What a handler that was
   * left alone gives back even later comes in a further call. When it fails or takes too long, the event `unfinished` tells.
   */
  readonly onUnfinished?: (items: readonly UnfinishedItem[]) => void | Promise<void>;
  /** The same for the dead letters that are kept when a shutdown ends; else, the event `deadLettersLeft` tells. */
  readonly onDeadLetters?: (letters: readonly DeadLetter[]) => void | Promise<void>;
  /** Source of time. Default: the machine's. For tests. */
  readonly clock?: Clock;
  /** Source of chance, numbers in [0, 1). Default `Math.random`. For tests. */
  readonly random?: () => number;
}

/** Options of a worker process, complete. */
export interface WorkerProcessOptions {
  readonly maxConcurrency: number;
  readonly engine: EngineFactory | undefined;
  readonly shutdownTimeoutMs: number;
  readonly abortGraceMs: number;
  readonly handOverTimeoutMs: number;
  readonly drainOnShutdown: boolean;
  readonly autoStart: boolean;
  readonly onUnfinished: ((items: readonly UnfinishedItem[]) => void | Promise<void>) | undefined;
  readonly onDeadLetters: ((letters: readonly DeadLetter[]) => void | Promise<void>) | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  /** What a worker type is given where it says nothing. */
  readonly typeDefaults: WorkerTypeOptionsInput;
}

const MAX_CONCURRENCY = 10;

const DEFAULT_RETRY: RetryPolicy = Object.freeze({
  limit: 3,
  backoffMs: 1_000,
  factor: 2,
  maxBackoffMs: 60_000,
  jitter: 0.2,
  retryable: () => true,
});

const retryRules: Rules<RetryPolicy> = {
  limit: wholeNumber(0),
  backoffMs: duration,
  factor: number(1),
  maxBackoffMs: duration,
  jitter: number(0, 1),
  retryable: func,
};

const rateLimitRules: Rules<RateLimit> = { max: wholeNumber(1), durationMs: wholeNumber(1) };

const typeRules: Rules<WorkerTypeOptions> = {
  maxConcurrency: wholeNumber(1),
  minWorkers: wholeNumber(0),
  scalingThreshold: wholeNumber(1),
  scaleDownDelayMs: duration,
  scalingPolicy: func,
  maxQueueSize: wholeNumber(1),
  maxWaitingProducers: wholeNumber(1),
  priorities: boolean,
  batchSize: wholeNumber(1),
  timeoutMs: duration,
  idleTimeoutMs: duration,
  // Looked at one by one, so that each is named.
  rateLimit: () => undefined,
  retry: () => undefined,
  maxDeadLetters: wholeNumber(1),
  maxAbandoned: wholeNumber(0),
};

const hasEngineMethods = hasMethods('what redisEngine() makes', ['createEngine']);

/** The function that makes one is given easily in place of what it makes. */
const engineRule: Rule = (value) =>
  typeof value === 'function' ? 'expected an engine, as in redisEngine({ … })' : hasEngineMethods(value);

/** The rules of a process's options, by name. */
export const processRules: Rules<WorkerProcessOptionsInput> = {
  ...typeRules,
  engine: engineRule,
  shutdownTimeoutMs: duration,
  abortGraceMs: duration,
  handOverTimeoutMs: duration,
  drainOnShutdown: boolean,
  autoStart: boolean,
  onUnfinished: func,
  onDeadLetters: func,
  clock: hasMethods('a Clock', ['now', 'wallNow', 'setTimer', 'afterInput']),
  random: func,
};

/** The problems of a worker type's options, a line each. */
export function findTypeOptionProblems(options: WorkerTypeOptionsInput, path = ''): string[] {
  return [...findProblems(options, typeRules, path), ...findNestedProblems(options, path)];
}

/**
 * The problems of a process's options, a line each.
 *
 * @param rules where options of others stand among those of the process, the rules of all
 */
export function findProcessOptionProblems(
  options: WorkerProcessOptionsInput,
  rules: Readonly<Record<string, Rule>> = processRules,
): string[] {
  const problems = [...findProblems(options, rules), ...findNestedProblems(options, '')];
  return problems.length > 0
    ? problems
    : findConflicts({ ...options, maxConcurrency: options.maxConcurrency ?? MAX_CONCURRENCY }, options.retry);
}

function findNestedProblems(options: WorkerTypeOptionsInput | null, path: string): string[] {
  const { retry, rateLimit }: { retry?: unknown; rateLimit?: unknown } = options ?? {};
  return [
    ...(retry === undefined ? [] : findProblems(retry, retryRules, `${path}retry.`)),
    ...(rateLimit === undefined || rateLimit === false
      ? []
      : findRateLimitProblems(rateLimit, `${path}rateLimit.`)),
  ];
}

function findRateLimitProblems(rateLimit: unknown, path: string): string[] {
  const missing = findMissing(rateLimit as RateLimit, rateLimitRules, ['max', 'durationMs']);
  return [...findProblems(rateLimit, rateLimitRules, path), ...missing.map((problem) => path + problem)];
}

/** What is wrong between options that are right by themselves. */
function findConflicts(
  { minWorkers = 0, maxConcurrency }: { minWorkers?: number; maxConcurrency: number },
  { backoffMs = 0, maxBackoffMs = Infinity }: Partial<RetryPolicy> = {},
): string[] {
  const problems: string[] = [];
  if (minWorkers > maxConcurrency)
    problems.push(`minWorkers: expected at most maxConcurrency (${maxConcurrency}), got ${minWorkers}`);
  if (backoffMs > maxBackoffMs)
    problems.push(`retry.backoffMs: expected at most retry.maxBackoffMs (${maxBackoffMs}), got ${backoffMs}`);
  return problems;
}

/** @throws InvalidOptionsError that names every wrong option */
export function resolveProcessOptions(input: WorkerProcessOptionsInput = {}): WorkerProcessOptions {
  refuseProblems('Worker process', findProcessOptionProblems(input));
  const {
    maxConcurrency = MAX_CONCURRENCY,
    engine,
    shutdownTimeoutMs = 20_000,
    abortGraceMs = 1_000,
    handOverTimeoutMs = 10_000,
    drainOnShutdown = true,
    autoStart = true,
    onUnfinished,
    onDeadLetters,
    clock = systemClock,
    random = Math.random,
    retry = {},
    ...typeDefaults
  } = input;
  return Object.freeze({
    maxConcurrency,
    engine,
    shutdownTimeoutMs,
    abortGraceMs,
    handOverTimeoutMs,
    drainOnShutdown,
    autoStart,
    onUnfinished,
    onDeadLetters,
    clock,
    random,
    typeDefaults: Object.freeze({ ...typeDefaults, retry: Object.freeze({ ...retry }) }),
  });
}

/**
 * The options of one worker type: what it says, else what the process says for all, else the default.
 *
 * @throws InvalidOptionsError that names every wrong option
 */
export function resolveTypeOptions(
  type: string,
  input: WorkerTypeOptionsInput,
  process: WorkerProcessOptions,
): WorkerTypeOptions {
  const subject = `Worker type ${JSON.stringify(type)}`;
  refuseProblems(subject, findTypeOptionProblems(input));
  const defaults = process.typeDefaults;
  const rateLimit = input.rateLimit ?? defaults.rateLimit;
  const maxConcurrency = Math.min(input.maxConcurrency ?? process.maxConcurrency, process.maxConcurrency);
  const options: WorkerTypeOptions = {
    minWorkers: 0,
    scalingThreshold: 10,
    scaleDownDelayMs: 1_000,
    scalingPolicy: thresholdScaling,
    maxQueueSize: 100_000,
    maxWaitingProducers: 10_000,
    priorities: false,
    batchSize: 100,
    timeoutMs: 60_000,
    idleTimeoutMs: 10_000,
    maxDeadLetters: 10_000,
    maxAbandoned: maxConcurrency,
    ...given(defaults),
    ...given(input),
    maxConcurrency,
    rateLimit: rateLimit === false ? undefined : rateLimit,
    retry: resolveRetry({ ...given(defaults.retry ?? {}), ...given(input.retry ?? {}) }),
  };
  refuseProblems(subject, findConflicts(options, options.retry));
  return Object.freeze(options);
}

/** A first delay above the default for the longest one raises it; that both were given and contradict is an error. */
function resolveRetry(input: Partial<RetryPolicy>): RetryPolicy {
  const maxBackoffMs = Math.max(DEFAULT_RETRY.maxBackoffMs, input.backoffMs ?? 0);
  return Object.freeze({ ...DEFAULT_RETRY, maxBackoffMs, ...input });
}
