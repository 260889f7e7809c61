import { describe } from '../../core/describe.js';
import { isThenable } from '../../core/is-thenable.js';
import { findMissing, findProblems, refuseProblems, type Rules } from '../../core/option-rules.js';

/** What is said of an upload that comes in. */
export interface ReceivedUpload {
  readonly name: string;
  readonly type: string;
}

const rules: Rules<ReceivedUpload> = { name: storableText, type: storableText };

/**
 * Refuses wrong arguments of `receive()` before anything is written.
 *
 * @throws InvalidOptionsError that names all that is wrong
 */
export function checkReceiveArguments(upload: ReceivedUpload, rows: unknown): void {
  refuseProblems('receive()', [
    ...findProblems(upload, rules, 'upload.'),
    ...findMissing(upload, rules, ['name', 'type']).map((problem) => `upload.${problem}`),
    ...findRowsProblems(rows),
  ]);
}

/** Postgres has no NUL character in texts. */
function storableText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && !value.includes('\0')
    ? undefined
    : 'expected a text that is not empty, without NUL characters';
}

/** Texts and bytes can be iterated, too; that nobody means their characters and numbers is certain. */
function findRowsProblems(rows: unknown): string[] {
  if (isIterable(rows) && !ArrayBuffer.isView(rows)) return [];
  const got = isThenable(rows) ? 'a promise; await it first' : describe(rows);
  return [`rows: expected an array, an iterable or an async iterable of rows, got ${got}`];
}

function isIterable(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { [Symbol.asyncIterator]: asyncIterator, [Symbol.iterator]: iterator } = value as Partial<
    AsyncIterable<unknown> & Iterable<unknown>
  >;
  return typeof asyncIterator === 'function' || typeof iterator === 'function';
}
