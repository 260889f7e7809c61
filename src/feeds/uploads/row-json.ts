import { describe } from '../../core/describe.js';
import { errorText } from '../../core/error-text.js';
import { toError } from '../../core/to-error.js';
import { InvalidRowError } from './upload-errors.js';

/**
 * Characters of JSON that a row may have. Each may take three bytes, of which Postgres takes 1 GB for a value, and keeps
 * copies while it reads them.
 */
const MAX_LENGTH = 100_000_000;

/**
 * A row of an upload as `JSON.stringify` writes it.
 *
 * @param number its place in the upload, from 1
 * @throws InvalidRowError when JSON can't say it, or has more than 100,000,000 characters for it
 */
export function rowJson(row: unknown, number: number): string {
  // JSON would say something of them, and nobody means it: it is what a file gives that was not read as rows.
  if (isBytes(row)) throw notJson(number, `${describe(row)}; make rows of the bytes first`);
  const json = written(row, number);
  if (json === undefined) throw notJson(number, describe(row));
  if (json.length > MAX_LENGTH) throw tooLong(number, `${json.length}`);
  return json;
}

function isBytes(value: unknown): boolean {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
}

function written(row: unknown, number: number): string | undefined {
  try {
    return JSON.stringify(row);
  } catch (error) {
    if (passesAllTexts(error)) throw tooLong(number, 'more than a string can have', { cause: error });
    throw notJson(number, refusedPart(row, toError(error)), { cause: error });
  }
}

/** As V8 says it; when the stack is full, it throws a RangeError as well. */
function passesAllTexts(error: unknown): boolean {
  return error instanceof RangeError && error.message === 'Invalid string length';
}

function tooLong(number: number, got: string, options?: ErrorOptions): InvalidRowError {
  return new InvalidRowError(
    number,
    `expected at most ${MAX_LENGTH} characters of JSON, got ${got}`,
    options,
  );
}

function notJson(number: number, got: string, options?: ErrorOptions): InvalidRowError {
  return new InvalidRowError(number, `expected a JSON value, got ${got}`, options);
}

/** What of the row could not be written, in words. */
function refusedPart(row: unknown, error: Error): string {
  const { path, value, isAgain } = lastVisited(row);
  const place = path === '' ? '' : ` at ${describe(path)}`;
  if (typeof value === 'bigint') return describe(value) + place;
  if (isAgain) return `${describe(row)} that contains itself${place}`;
  const [reason] = errorText(error).split('\n');
  return `${describe(row)} that could not be written as one: ${reason}`;
}

/** A value that `JSON.stringify` came to. */
interface Visit {
  /** The keys that lead to it, with dots between; empty for the row itself. */
  readonly path: string;
  readonly value: unknown;
  /** Whether it came to this object before. */
  readonly isAgain: boolean;
}

/** Where `JSON.stringify` gave up: it shows each value to the replacer before it writes it. */
function lastVisited(row: unknown): Visit {
  const paths = new Map<unknown, string>();
  let last: Visit = { path: '', value: row, isAgain: false };
  try {
    JSON.stringify(row, function (this: object, key: string, value: unknown) {
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
