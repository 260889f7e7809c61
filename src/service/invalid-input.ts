/** Input that can never be worked on, however often it is tried: it is wrong in itself. */
export class InvalidInputError extends Error {
  override readonly name: string = 'InvalidInputError';
  /**
   * Field and expectation without the value that came, so that inputs with the same fault can be counted
   * together.
   */
  readonly reason: string;

  constructor(
    readonly field: string,
    readonly expected: string,
    /** The value as a person is to read it. */
    readonly got: string,
  ) {
    super(`${field}: expected ${expected}, got ${got}`);
    this.reason = `${field}: expected ${expected}`;
  }
}

/** A value in a few words; text in quotes, and of a long one only its beginning. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (typeof value === 'string') return value.trim() === '' ? 'nothing' : quote(beginningOf(value));
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** By code points: half of a surrogate pair is nothing that a JSON column takes. */
function beginningOf(text: string): string {
  const beginning = /^[^]{0,80}/u.exec(text)?.[0] ?? '';
  return beginning === text ? text : `${beginning}…`;
}

/** JSON leaves some control characters as they are; a person could not see them, and Postgres would refuse some. */
function quote(text: string): string {
  return JSON.stringify(text).replace(/\p{Cc}/gu, (control) => {
    return `\\u${control.codePointAt(0)!.toString(16).padStart(4, '0')}`;
  });
}
