import type { Clock } from './clock.js';
import type { ItemKey } from './item-keys.js';
import {
  boolean,
  date,
  findProblems,
  hasMethods,
  number,
  oneOf,
  refuseProblems,
  signal,
  textOrFunction,
  type Rules,
} from './option-rules.js';
import type { WorkerTypeOptions } from './options.js';
import type { Outcome } from './outcome.js';
import { NORMAL_LANE, PRIORITIES, type Priority } from './priority.js';

/**
 * Told of each item of a job as it completes or dies. When a dead letter of the job is redriven, it is told of that item
 * again, even after the job has ended: the observer lives as long as a dead letter of its job, so it had better be
 * small. Items that are cancelled or handed back are counted only. For feeds that write outcomes back.
 */
export interface JobObserver {
  /**
   * @param index of the item among those that were taken in; its place in the source is another where `duplicates` of a `uniqueKey`
   *   come before it
   * @param attempts attempts that the item took
   */
  itemEnded(index: number, outcome: Exclude<Outcome, { kind: 'retry' }>, attempts: number): void;
}

/** What may be said of one submission. */
export interface SubmitOptions {
  /** Makes a job of one item findable by `findJob`, and its end an event; other jobs always are. Default false. */
  readonly track?: boolean;
  /** Told of each item as it ends. */
  readonly observer?: JobObserver;
  /**
   * Cancels the job when it aborts, also while the submission still waits for room in a full queue: the job that it
   * resolves with is cancelled then.
   */
  readonly signal?: AbortSignal;
  /**
   * Says that a handler submits. It can't wait for room in a full queue, which only handlers make: up to twice
   * `maxQueueSize` is taken at once, and beyond, an item or an array is refused as a whole. While a shutdown works the
   * queues off, items and arrays of handlers are still taken; all other submissions are refused. Default false.
   */
  readonly fromHandler?: boolean;
  /**
   * Says that the source keeps the items until they have ended, and gives them again otherwise: those that a shutdown
   * hands back are not lost, and `onUnfinished` is not given them. Default false.
   */
  readonly keptBySource?: boolean;
  /**
   * Milliseconds for which its items wait before they may start, 0 or more, counted from the submission; they are never
   * started before, and begin to wait for a worker 10 ms later at the most. Default 0.
   */
  readonly delayMs?: number;
  /** The same as a moment, read against the machine's clock when it is submitted; one in the past is now. Instead of `delayMs`. */
  readonly runAt?: Date;
  /** The lane of its items, in a worker type with `priorities`. Default `normal`. */
  readonly priority?: Priority;
  /**
   * Takes in only the first of the items of its worker type that have the same key: a text for one item, or what makes one of each
   * payload. The others count as `duplicates` of their jobs. The key is held until its item has ended, or for `uniqueForMs`.
   * A dead letter that is redriven is without its key: others with it may be taken in beside it.
   */
  readonly uniqueKey?: ItemKey;
  /** Milliseconds for which a `uniqueKey` is held from the submission on, whatever becomes of its item; 1 or more. */
  readonly uniqueForMs?: number;
  /**
   * Starts items of its worker type that have the same key one after another, in the order of their submission: the next one when
   * the one before has ended, retries included. A text for all of its items, or what makes one of each payload. An item that is for
   * later takes its place in the order when it is due.
   */
  readonly orderKey?: ItemKey;
}

/** The lane that the items of a submission wait in. */
export function laneOf({ priority }: SubmitOptions): number {
  return priority === undefined ? NORMAL_LANE : PRIORITIES.indexOf(priority);
}

/** The moment of the clock, in milliseconds, before which nothing of a submission starts; 0: at any. */
export function dueMsOf({ delayMs, runAt }: SubmitOptions, clock: Clock): number {
  const waitMs = runAt === undefined ? (delayMs ?? 0) : runAt.getTime() - clock.wallNow();
  return waitMs > 0 ? clock.now() + waitMs : 0;
}

const rules: Rules<SubmitOptions> = {
  track: boolean,
  observer: hasMethods('a JobObserver', ['itemEnded']),
  signal,
  fromHandler: boolean,
  keptBySource: boolean,
  delayMs: number(0),
  runAt: date,
  priority: oneOf('a priority', PRIORITIES),
  uniqueKey: textOrFunction,
  uniqueForMs: number(1),
  orderKey: textOrFunction,
};

/** @throws InvalidOptionsError that names every wrong option */
export function checkSubmitOptions(
  options: SubmitOptions,
  { type, options: { priorities } }: SubmittedTo,
): void {
  // The text of what is wrong costs more than an item; most calls need none.
  if (!isRight(options)) refuseProblems('distributeWork()', findProblems(options, rules));
  const { delayMs, runAt, priority, uniqueKey, uniqueForMs } = options;
  if (delayMs !== undefined && runAt !== undefined) {
    refuseProblems('distributeWork()', ['runAt: expected no delayMs beside it']);
  }
  if (uniqueForMs !== undefined && uniqueKey === undefined) {
    refuseProblems('distributeWork()', ['uniqueForMs: expected a uniqueKey beside it']);
  }
  if (priority !== undefined && !priorities) {
    refuseProblems('distributeWork()', [
      `priority: expected a worker type with priorities: true, got ${JSON.stringify(type)}`,
    ]);
  }
}

/** The worker type that work is submitted to. */
interface SubmittedTo {
  readonly type: string;
  readonly options: Pick<WorkerTypeOptions, 'priorities'>;
}

function isRight(options: SubmitOptions): boolean {
  if (typeof options !== 'object' || options === null) return false;
  for (const name in options) {
    if (!Object.hasOwn(rules, name)) return false;
    const value = options[name as keyof SubmitOptions];
    if (value !== undefined && rules[name as keyof SubmitOptions](value) !== undefined) return false;
  }
  return true;
}
