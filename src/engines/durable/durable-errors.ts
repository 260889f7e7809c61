import { describe } from '../../core/describe.js';
import { BackgroundWorkerError } from '../../core/errors.js';

/** An item can't be stored: JSON can't say its payload. Nothing else of its submission is touched. */
export class InvalidPayloadError extends BackgroundWorkerError {
  readonly code = 'INVALID_PAYLOAD';

  constructor(
    readonly type: string,
    /** Place of the item in its submission, from 0. */
    readonly place: number,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`Item at ${place} for ${describe(type)}: ${problem}`, options);
  }
}

/** An item can't be stored: it is larger than `maxItemBytes`. Nothing else of its submission is touched. */
export class ItemTooLargeError extends BackgroundWorkerError {
  readonly code = 'ITEM_TOO_LARGE';

  constructor(
    readonly type: string,
    /** Place of the item in its submission, from 0. */
    readonly place: number,
    /** Bytes of its payload as JSON. */
    readonly bytes: number,
    readonly maxItemBytes: number,
  ) {
    super(
      `Item at ${place} for ${describe(type)}: expected at most ${maxItemBytes} bytes of JSON (maxItemBytes), got ${bytes}`,
    );
  }
}

/** A job of one item that nobody asked to track: a durable engine does not know what becomes of it. */
export class JobNotTrackedError extends BackgroundWorkerError {
  readonly code = 'JOB_NOT_TRACKED';

  constructor(
    readonly jobId: string,
    operation: string,
  ) {
    super(
      `${operation} of job ${jobId}: expected a job that is tracked; submit its item with { track: true }, or in an array`,
    );
  }
}

/** The call is of an engine that keeps items in memory. */
export class NotOnDurableEngineError extends BackgroundWorkerError {
  readonly code = 'NOT_ON_DURABLE_ENGINE';

  constructor(operation: string, instead: string) {
    super(
      `${operation}: expected the memory engine, as it answers before anything could be stored; ${instead}`,
    );
  }
}

/** A chunk is of a form that this version can't read; a newer one wrote it. It is left to others. */
export class UnreadableChunkError extends BackgroundWorkerError {
  readonly code = 'UNREADABLE_CHUNK';

  constructor(
    readonly chunkId: string,
    problem: string,
  ) {
    super(`Chunk ${chunkId}: ${problem}`);
  }
}

/** An item ran when its process died, or did not answer for longer than its lease, again and again. */
export class ProcessDiedError extends BackgroundWorkerError {
  readonly code = 'PROCESS_DIED';

  constructor(readonly times: number) {
    super(`The process died, or did not answer, ${times} times while it worked on this item alone`);
  }
}
