/**
 * A file that can't be read as what it should be. It says nothing about single rows: the whole file is in
 * doubt.
 */
export class MalformedFileError extends Error {
  override readonly name = 'MalformedFileError';

  constructor(
    /** Counted from 1, with the header; for a broken row the line where the row begins. */
    readonly line: number,
    readonly expected: string,
    readonly got: string,
  ) {
    super(`line ${line}: expected ${expected}, got ${got}`);
  }
}
