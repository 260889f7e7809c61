import { describe } from './describe.js';

/** Every error that this package throws on purpose extends this one; `code` is stable across versions. */
export abstract class BackgroundWorkerError extends Error {
  abstract readonly code: string;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** One or more options are wrong. `problems` has a line for each: its path, what was expected, what came. */
export class InvalidOptionsError extends BackgroundWorkerError {
  readonly code = 'INVALID_OPTIONS';

  constructor(
    readonly subject: string,
    readonly problems: readonly string[],
  ) {
    super(
      `${subject}: ${problems.length === 1 ? '' : `${problems.length} wrong options: `}${problems.join('; ')}`,
    );
  }
}

/** No worker is registered under the type. `knownTypes` lists the registered ones. */
export class UnknownWorkerTypeError extends BackgroundWorkerError {
  readonly code = 'UNKNOWN_WORKER_TYPE';

  constructor(
    readonly type: unknown,
    readonly knownTypes: readonly string[],
  ) {
    const known = knownTypes.length === 0 ? 'none is registered' : `known types: ${knownTypes.join(', ')}`;
    super(`Unknown worker type ${describe(type)}; ${known}`);
  }
}

/** The type has been registered before. */
export class DuplicateWorkerTypeError extends BackgroundWorkerError {
  readonly code = 'DUPLICATE_WORKER_TYPE';

  constructor(readonly type: string) {
    super(`Worker type ${describe(type)} is registered already; a type has one worker class`);
  }
}

/** The class that a worker type stands for can't process anything. */
export class InvalidWorkerError extends BackgroundWorkerError {
  readonly code = 'INVALID_WORKER';

  constructor(
    readonly type: string,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`Worker of type ${describe(type)}: ${problem}`, options);
  }
}

/** The process is shutting down or has been closed, and takes no more work. */
export class ProcessClosedError extends BackgroundWorkerError {
  readonly code = 'PROCESS_CLOSED';

  constructor(operation: string) {
    super(`${operation}: the worker process is shutting down and takes no more work`);
  }
}

/**
 * The work queue is full, and the submission may not wait: as many producers wait already as may (somebody submits
 * without awaiting), or it comes from a handler and has passed the bound for those.
 */
export class QueueFullError extends BackgroundWorkerError {
  readonly code = 'QUEUE_FULL';

  constructor(
    readonly type: string,
    reason: string,
  ) {
    super(`Work queue of ${describe(type)} is full: ${reason}`);
  }
}

/** As many dead letters are kept as may be (`maxDeadLetters`): nothing can be added that would be one at once. */
export class DeadLettersFullError extends BackgroundWorkerError {
  readonly code = 'DEAD_LETTERS_FULL';

  constructor(
    readonly type: string,
    readonly maxDeadLetters: number,
  ) {
    super(
      `Dead letters of ${describe(type)}: maxDeadLetters (${maxDeadLetters}) is reached; redrive or discard some`,
    );
  }
}

/** A dead letter was refused by a check before any worker saw it: its payload must not reach a worker now either. */
export class RejectedLetterError extends BackgroundWorkerError {
  readonly code = 'REJECTED_LETTER';

  constructor(readonly letterId: string) {
    super(
      `Dead letter ${describe(letterId)} can't be redriven: its payload did not pass the check before the queue; ` +
        'discard it, and send what it came from again',
    );
  }
}

/** The attempt ran longer than `timeoutMs`. Counts as a failed attempt; the reason of the abort signal. */
export class TimeLimitError extends BackgroundWorkerError {
  readonly code = 'TIME_LIMIT';

  constructor(
    readonly type: string,
    readonly timeoutMs: number,
    what = 'Attempt',
  ) {
    super(`${what} of ${describe(type)} passed its time limit of ${timeoutMs} ms`);
  }
}

/**
 * `onUnfinished` or `onDeadLetters` took longer than `handOverTimeoutMs`. The shutdown goes on without it; told by the event
 * `callbackFailed`.
 */
export class HandOverTimeLimitError extends BackgroundWorkerError {
  readonly code = 'HAND_OVER_TIME_LIMIT';

  constructor(
    readonly callback: string,
    readonly handOverTimeoutMs: number,
  ) {
    super(`${callback} passed the time limit for both callbacks, handOverTimeoutMs (${handOverTimeoutMs})`);
  }
}

/** The job of the running item was cancelled. The reason of the abort signal. */
export class JobCancelledError extends BackgroundWorkerError {
  readonly code = 'JOB_CANCELLED';

  constructor(readonly jobId: string) {
    super(`Job ${jobId} was cancelled`);
  }
}

/** The process shuts down and its time to finish is over. The reason of the abort signal. */
export class ShutdownError extends BackgroundWorkerError {
  readonly code = 'SHUTDOWN';

  constructor(message = 'The worker process is shutting down') {
    super(message);
  }
}

/** What a handler threw was not an Error; `thrown` is the value itself. */
export class NonErrorThrownError extends BackgroundWorkerError {
  readonly code = 'NON_ERROR_THROWN';

  constructor(readonly thrown: unknown) {
    super(`Expected an Error to be thrown, got ${describe(thrown)}`);
  }
}

/**
 * Thrown by a handler (or passed to `context.fail`) when the item can never succeed: it becomes a dead letter
 * at once, whatever its retry limit.
 */
export class UnrecoverableError extends BackgroundWorkerError {
  readonly code: string = 'UNRECOVERABLE';
}

/**
 * Thrown by a handler (or passed to `context.fail`) to be run again after a delay of its own choice, in place of
 * the backoff. It counts as an attempt like any other failure.
 */
export class RetryLaterError extends BackgroundWorkerError {
  readonly code = 'RETRY_LATER';

  constructor(
    /** Milliseconds until the next attempt, 0 or more. */
    readonly delayMs: number,
    message = `Retry asked for in ${delayMs} ms`,
    options?: ErrorOptions,
  ) {
    super(message, options);
    if (!Number.isFinite(delayMs) || delayMs < 0) {
      throw new RangeError(`RetryLaterError: expected delayMs to be 0 or more, got ${describe(delayMs)}`);
    }
  }
}
