import type { DeadLetter } from './dead-letters.js';
import { describe } from './describe.js';
import { isThenable } from './is-thenable.js';
import type { Job } from './job.js';
import { refuseProblems } from './option-rules.js';
import { toError } from './to-error.js';
import type { WorkerFailure } from './worker-failure.js';

/** Why no item of a worker type is started. */
export type PauseReason =
  /** `pause(type)` was called. */
  | 'requested'
  /** `maxDeadLetters` is reached: redrive or discard some. */
  | 'dead-letters-full'
  /** More than `maxAbandoned` handlers, starts and stops of workers run on after their time limit. */
  | 'too-many-abandoned';

/** Why a worker type's number of workers changes. */
export type ScaleReason =
  /** The scaling policy, asked for this queue size. */
  | 'queue-size'
  /** It wants more, but other types want slots as well. */
  | 'shared-slots'
  /** It has nothing to do. */
  | 'idle'
  /** It is paused. */
  | 'paused'
  /** `addWorker` or `removeWorker` was called. */
  | 'requested'
  /** The process shuts down. */
  | 'shutdown';

/** An item that a shutdown could not finish. */
export interface UnfinishedItem {
  readonly id: string;
  readonly type: string;
  readonly jobId: string;
  readonly index: number;
  readonly payload: unknown;
  /** Attempts that have failed. */
  readonly attempts: number;
}

/** Everything that a worker process tells, by name. What feeds on it of its own adds its events by declaration merging. */
export interface WorkerProcessEvents {
  /** A worker type's number of workers changed its target. */
  scaled: { type: string; from: number; to: number; reason: ScaleReason; queueSize: number };
  /** An attempt failed, and the item will run again. */
  retry: { type: string; itemId: string; attempt: number; delayMs: number; error: Error };
  /** An item became a dead letter. */
  deadLetter: DeadLetter;
  /**
   * A handler passed its time limit; its worker was replaced. `abandoned` handlers, starts and stops of workers of the type
   * still run after theirs.
   */
  workerRetired: { type: string; itemIds: readonly string[]; timeoutMs: number; abandoned: number };
  /**
   * A worker could not be made, its `onStart` or `onStop` threw or was not waited for any longer (`TimeLimitError`, at a
   * shutdown `ShutdownError`), or it broke down between two items (`work`), which takes a clock that throws. `retryInMs`
   * says when the next is tried.
   */
  workerFailed: WorkerFailure & { type: string; retryInMs: number | undefined };
  paused: { type: string; reason: PauseReason };
  resumed: { type: string; reason: PauseReason };
  /** Every item of a job has ended. Not told of jobs of one item that nobody asked to track. */
  jobEnded: Job;
  /** One attempt (of an item, or of a batch of `count`) ended. Timing each costs speed, and is done only while somebody listens. */
  attempt: { type: string; count: number; durationMs: number; outcome: 'completed' | 'failed' };
  /** A handler reported its progress. */
  progress: { type: string; itemId: string; progress: unknown };
  /** A shutdown left items unfinished, and no `onUnfinished` took them. */
  unfinished: { items: readonly UnfinishedItem[] };
  /** A shutdown left dead letters, and no `onDeadLetters` took them. */
  deadLettersLeft: { letters: readonly DeadLetter[] };
  /**
   * Nothing has ended in a full queue for a while, although items run and producers wait for room. Handlers that submit
   * to their own type without saying `fromHandler` look like this: they wait for room that only they could make.
   */
  standstill: { type: string; waitingProducers: number; running: number; forMs: number };
  /**
   * The store of a durable engine could not be reached, or answered with an error. What was to be done is tried again, and
   * nothing is lost. Told at the first time, and every 30 seconds as long as it lasts.
   */
  engineTroubled: { error: Error };
  /**
   * This process lost the lease of `items` that it had, and what it did for them since does not count: they run again
   * elsewhere. Mostly a handler has blocked the event loop: no sign of life could be given for `unheardMs` milliseconds
   * (undefined when it was found as they were settled).
   */
  leaseLost: { type: string; items: number; unheardMs: number | undefined };
  /**
   * A function of the user's failed where that must not disturb the work: a listener of one of these events, or what
   * `event` names: `onUnfinished`, `onDeadLetters`, `scalingPolicy`, `retryable`, `random`, `observer`, `unsubscribe`.
   */
  callbackFailed: { event: string; error: Error };
}

export type EventName = keyof WorkerProcessEvents;

/** The events of the core. */
const CORE_EVENTS: readonly EventName[] = [
  'scaled',
  'retry',
  'deadLetter',
  'workerRetired',
  'workerFailed',
  'paused',
  'resumed',
  'jobEnded',
  'attempt',
  'progress',
  'unfinished',
  'deadLettersLeft',
  'standstill',
  'engineTroubled',
  'leaseLost',
  'callbackFailed',
];

export type Listener<Name extends EventName> = (event: WorkerProcessEvents[Name]) => unknown;

/**
 * The listeners of a worker process. Not Node's EventEmitter: a listener that throws must not end a worker's loop,
 * and whether anybody listens is asked for every item.
 */
export class EventChannel {
  private readonly listeners = new Map<EventName, readonly Listener<EventName>[]>();
  private readonly names = new Set<EventName>(CORE_EVENTS);
  /** Whether attempts are listened to. A field, as it is read for each item. */
  timesAttempts = false;

  /** Makes further events known, for who adds them by declaration merging. */
  add(names: readonly EventName[]): void {
    for (const name of names) this.names.add(name);
  }

  /**
   * Calls `listener` at each event of the name.
   *
   * @returns a function that ends this
   * @throws InvalidOptionsError when there is no event of the name, or the listener is no function
   */
  on<Name extends EventName>(name: Name, listener: Listener<Name>): () => void {
    refuseProblems('on()', this.findProblems(name, listener));
    // Of its own, so that a listener which is added twice is removed once at a time.
    const added: Listener<EventName> = (event) => (listener as Listener<EventName>)(event);
    this.replace(name, [...(this.listeners.get(name) ?? []), added]);
    return () =>
      this.replace(
        name,
        (this.listeners.get(name) ?? []).filter((other) => other !== added),
      );
  }

  has(name: EventName): boolean {
    return this.listeners.has(name);
  }

  emit<Name extends EventName>(name: Name, event: WorkerProcessEvents[Name]): void {
    for (const listener of this.listeners.get(name) ?? []) {
      try {
        const result: unknown = (listener as Listener<Name>)(event);
        if (isThenable(result)) result.then(undefined, (error: unknown) => this.tellFailure(name, error));
      } catch (error) {
        this.tellFailure(name, error);
      }
    }
  }

  private findProblems(name: unknown, listener: unknown): string[] {
    const problems: string[] = [];
    if (!this.names.has(name as EventName)) {
      problems.push(`event: expected one of ${[...this.names].join(', ')}, got ${describe(name)}`);
    }
    if (typeof listener !== 'function') {
      problems.push(`listener: expected a function, got ${describe(listener)}`);
    }
    return problems;
  }

  private tellFailure(name: EventName, error: unknown): void {
    // A failing listener of failing listeners has nobody left to tell.
    if (name !== 'callbackFailed') this.emit('callbackFailed', { event: name, error: toError(error) });
  }

  private replace(name: EventName, listeners: readonly Listener<EventName>[]): void {
    if (listeners.length === 0) this.listeners.delete(name);
    else this.listeners.set(name, listeners);
    this.timesAttempts = this.listeners.has('attempt');
  }
}
