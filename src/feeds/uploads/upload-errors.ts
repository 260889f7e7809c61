import { describe } from '../../core/describe.js';
import { BackgroundWorkerError } from '../../core/errors.js';
import type { UploadStatus } from './upload-store.js';

/** Uploads are used, but the module was given no place to keep them. */
export class NoUploadStoreError extends BackgroundWorkerError {
  readonly code = 'NO_UPLOAD_STORE';

  constructor() {
    super(
      'processUserUpload(): no upload store; give one to WorkerModule.forRootAsync({ useFactory: () => ({ uploads: { store } }) }), ' +
        'such as TypeOrmUploadStore of nestjs-background-worker/typeorm',
    );
  }
}

/** There is no upload of this id. */
export class UnknownUploadError extends BackgroundWorkerError {
  readonly code = 'UNKNOWN_UPLOAD';

  constructor(readonly uploadId: unknown) {
    super(`Unknown upload ${describe(uploadId)}`);
  }
}

/** The upload is in a state in which its rows can't be worked on. */
export class UploadNotReadyError extends BackgroundWorkerError {
  readonly code = 'UPLOAD_NOT_READY';

  constructor(
    readonly uploadId: string,
    readonly status: UploadStatus,
  ) {
    super(`Upload ${describe(uploadId)}: expected one that was received in full, got one that is ${status}`);
  }
}

/** A row of an upload can't be stored: it is no JSON value, or too long as one. Nothing of the upload is ever worked on. */
export class InvalidRowError extends BackgroundWorkerError {
  readonly code = 'INVALID_ROW';

  constructor(
    /** Its place in the upload, from 1. */
    readonly rowNumber: number,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`Row ${rowNumber}: ${problem}`, options);
  }
}

/** The upload can't be discarded: it is worked on, or comes in. */
export class UploadInUseError extends BackgroundWorkerError {
  readonly code = 'UPLOAD_IN_USE';

  constructor(
    readonly uploadId: string,
    readonly status: 'receiving' | 'processing',
  ) {
    super(`Upload ${describe(uploadId)}: expected one that nobody works on, got one that is ${status}`);
  }
}

/** The upload was discarded while it came in: `receive()` has stored nothing of it. */
export class UploadDiscardedError extends BackgroundWorkerError {
  readonly code = 'UPLOAD_DISCARDED';

  constructor(readonly uploadId: string) {
    super(`Upload ${describe(uploadId)} was discarded while it was received; receive it anew`);
  }
}

/** A call of the upload store took longer than `callTimeoutMs`. The run fails; a next one goes on where it can. */
export class UploadCallTimeLimitError extends BackgroundWorkerError {
  readonly code = 'UPLOAD_CALL_TIME_LIMIT';

  constructor(
    readonly uploadId: string,
    /** The method that did not answer. */
    readonly call: string,
    /** Milliseconds that it had. */
    readonly limitMs: number,
  ) {
    super(`Upload ${describe(uploadId)}: ${call} passed its time limit, callTimeoutMs (${limitMs})`);
  }
}
