import { BackgroundWorkerError } from '../../core/errors.js';
import { errorText } from '../../core/error-text.js';
import type { StoredError } from './letter-shelf.js';

/** Characters of a message or a stack that are kept: what errors carry along has no bounds. */
const KEPT_LENGTH = 10_000;

export function toStoredError(error: Error): StoredError {
  return {
    name: textOf(() => error.name) ?? 'Error',
    message: errorText(error).slice(0, KEPT_LENGTH),
    stack: textOf(() => error.stack),
    code: textOf(() => (error as Error & { code?: unknown }).code),
  };
}

/** An error's members may be anything, and may throw when they are looked at. */
function textOf(read: () => unknown): string | undefined {
  try {
    const value = read();
    return typeof value === 'string' ? value.slice(0, KEPT_LENGTH) : undefined;
  } catch {
    return undefined;
  }
}

/** An error of a letter that was read from the store. Its class is lost; its `name`, `message`, `stack` and `code` are as they were. */
export class StoredLetterError extends BackgroundWorkerError {
  readonly code: string;

  constructor({ name, message, stack, code }: StoredError) {
    super(message);
    this.name = name;
    this.code = code ?? 'STORED_LETTER';
    if (stack !== undefined) this.stack = stack;
  }
}
