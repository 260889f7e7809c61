import { jsonText, NotJsonError } from '../../core/json-text.js';
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
  const json = written(row, number);
  if (json.length > MAX_LENGTH) throw tooLong(number, `${json.length}`);
  return json;
}

function written(row: unknown, number: number): string {
  try {
    return jsonText(row);
  } catch (error) {
    if (!(error instanceof NotJsonError)) throw error;
    const { cause } = error;
    const options = cause === undefined ? {} : { cause };
    if (error.got === undefined) throw tooLong(number, 'more than a string can have', options);
    const hint = isBytes(row) ? '; make rows of the bytes first' : '';
    throw new InvalidRowError(number, error.message + hint, options);
  }
}

function isBytes(value: unknown): boolean {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
}

function tooLong(number: number, got: string, options?: ErrorOptions): InvalidRowError {
  return new InvalidRowError(
    number,
    `expected at most ${MAX_LENGTH} characters of JSON, got ${got}`,
    options,
  );
}
