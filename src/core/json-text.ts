import { describe } from './describe.js';
import { errorText } from './error-text.js';
import { toError } from './to-error.js';

/** Says of a value why JSON can't say it. */
export class NotJsonError extends Error {
  constructor(
    /** What came in place of a JSON value, in words; undefined when the text would be longer than one can be. */
    readonly got: string | undefined,
    options?: ErrorOptions,
  ) {
    super(
      got === undefined ? 'the text is longer than a string can be' : `expected a JSON value, got ${got}`,
      options,
    );
  }
}

/** `value` as `JSON.stringify` writes it. @throws NotJsonError when it can't, or would make something else of it */
export function jsonText(value: unknown): string {
  // JSON would say something of them, and nobody means it.
  if (isBytes(value)) throw new NotJsonError(describe(value));
  const text = written(value);
  if (text === undefined) throw new NotJsonError(describe(value));
  return text;
}

function isBytes(value: unknown): boolean {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
}

function written(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    throw new NotJsonError(passesAllTexts(error) ? undefined : refusedPart(value, toError(error)), {
      cause: error,
    });
  }
}

/** As V8 says it; when the stack is full, it throws a RangeError as well. */
function passesAllTexts(error: unknown): boolean {
  return error instanceof RangeError && error.message === 'Invalid string length';
}

/** What of the value could not be written, in words. */
function refusedPart(whole: unknown, error: Error): string {
  const { path, value, isAgain } = lastVisited(whole);
  const place = path === '' ? '' : ` at ${describe(path)}`;
  if (typeof value === 'bigint') return describe(value) + place;
  if (isAgain) return `${describe(whole)} that contains itself${place}`;
  const [reason] = errorText(error).split('\n');
  return `${describe(whole)} that could not be written as one: ${reason}`;
}

/** A value that `JSON.stringify` came to. */
interface Visit {
  /** The keys that lead to it, with dots between; empty for the whole itself. */
  readonly path: string;
  readonly value: unknown;
  /** Whether it came to this object before. */
  readonly isAgain: boolean;
}

/** Where `JSON.stringify` gave up: it shows each value to the replacer before it writes it. */
function lastVisited(whole: unknown): Visit {
  const paths = new Map<unknown, string>();
  let last: Visit = { path: '', value: whole, isAgain: false };
  try {
    JSON.stringify(whole, function (this: object, key: string, value: unknown) {
      const parent = paths.get(this) ?? '';
      const path = parent === '' ? key : `${parent}.${key}`;
      last = { path, value, isAgain: paths.has(value) };
      if (typeof value === 'object' && value !== null) paths.set(value, path);
      return value;
    });
  } catch {
    // Why is known; where is what was looked for.
  }
  return last;
}
