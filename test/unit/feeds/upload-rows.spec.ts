import { describe, expect, test } from '@jest/globals';
import { InvalidRowError } from '../../../src/index.js';
import { rowJson } from '../../../src/feeds/uploads/row-json.js';

function refusal(row: unknown): InvalidRowError {
  try {
    rowJson(row, 7);
  } catch (error) {
    return error as InvalidRowError;
  }
  throw new Error('Expected the row to be refused');
}

describe('a row is stored', () => {
  const shared = { a: 1 };
  test.each<[string, unknown, string]>([
    ['as the JSON that it is', { text: 'x', list: [1, null, true] }, '{"text":"x","list":[1,null,true]}'],
    ['without members that are undefined or functions', { a: undefined, b: () => 1, c: 1 }, '{"c":1}'],
    ['with null for what is undefined in a list', [undefined, 1], '[null,1]'],
    ['with null for numbers that are not finite', { a: NaN, b: -Infinity }, '{"a":null,"b":null}'],
    ['with dates as texts', { at: new Date(0) }, '{"at":"1970-01-01T00:00:00.000Z"}'],
    ['as its toJSON says', { inner: { toJSON: () => [5] } }, '{"inner":[5]}'],
    ['with NUL and halves of surrogate pairs', 'a\0\ud800', '"a\\u0000\\ud800"'],
    ['with what it has twice', [shared, shared], '[{"a":1},{"a":1}]'],
  ])('%s', (_, row, json) => expect(rowJson(row, 1)).toBe(json));

  test('up to 100,000,000 characters of JSON', () => {
    expect(rowJson('x'.repeat(99_999_998), 1)).toHaveLength(100_000_000);
  });
});

describe('a row is refused by its number', () => {
  const circular = { id: 1, user: { name: 'Ada', self: {} } };
  circular.user.self = circular.user;

  test.each<[string, unknown, string]>([
    ['undefined', undefined, 'undefined'],
    ['a function', () => 1, 'a function'],
    ['a symbol', Symbol('x'), 'Symbol(x)'],
    ['a bigint', 5n, '5n'],
    ['a bigint in it', { order: { lines: [{ amount: 5n }] } }, '5n at "order.lines.0.amount"'],
    ['one that contains itself', circular, 'an object that contains itself at "user.self"'],
    [
      'one that throws',
      {
        toJSON: () => {
          throw new Error('no connection');
        },
      },
      'an object that could not be written as one: no connection',
    ],
    ['one that says undefined', { toJSON: () => undefined }, 'an object'],
    ['bytes', Buffer.from('id,name'), 'a Buffer; make rows of the bytes first'],
    ['a buffer', new ArrayBuffer(3), 'a ArrayBuffer; make rows of the bytes first'],
  ])('when it is %s', (_, row, got) => {
    const error = refusal(row);
    expect(error).toBeInstanceOf(InvalidRowError);
    expect(error).toMatchObject({ code: 'INVALID_ROW', rowNumber: 7 });
    expect(error.message).toBe(`Row 7: expected a JSON value, got ${got}`);
  });

  test.each<[string, () => unknown, string]>([
    ['it may be', () => 'x'.repeat(99_999_999), '100000001'],
    // What V8 throws when it would write one of 2^29 characters, without the gigabyte for it.
    ['a text can be', () => ({ toJSON: () => 'x'.repeat(2 ** 29) }), 'more than a string can have'],
  ])('when it is longer as JSON than %s', (_, row, got) => {
    expect(refusal(row())).toMatchObject({
      code: 'INVALID_ROW',
      rowNumber: 7,
      message: `Row 7: expected at most 100000000 characters of JSON, got ${got}`,
    });
  });

  test('with what was thrown as its cause', () => {
    const cause = new Error('no connection');
    const row = {
      get name() {
        throw cause;
      },
    };
    expect(refusal(row).cause).toBe(cause);
  });

  test('however deep it is', () => {
    let deep: unknown = 5n;
    for (let level = 0; level < 100_000; level++) deep = [deep];
    expect(refusal(deep).message).toMatch(
      /^Row 7: expected a JSON value, got an array of 1 that could not be written as one: Maximum call stack/,
    );
  });
});
