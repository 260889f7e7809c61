import { faker } from '@faker-js/faker/locale/en';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Readable } from 'node:stream';
import { MalformedFileError } from '../../../src/service/users/malformed-file-error.js';
import {
  InvalidUserError,
  normaliseUser,
  type NormalisedUser,
} from '../../../src/service/users/normalise-user.js';
import { parseUserFile, type UserFileRow } from '../../../src/service/users/parse-user-file.js';
import { USER_COLUMNS, type UserCells } from '../../../src/service/users/user-columns.js';
import {
  rowIntents,
  USER_DEFECTS,
  type RowIntent,
  type UserDefect,
} from '../../../src/service/users/user-file-layout.js';
import { generateUserFile } from '../../../src/service/users/user-file.js';

const HEADER = USER_COLUMNS.join(',');
const NOW = new Date('2026-01-01T00:00:00Z');

const ADA: UserCells = {
  id: '7',
  email: 'ada@example.com',
  full_name: 'Ada Lovelace',
  birth_date: '1990-12-10',
  country: 'GB',
  phone: '+44 (20) 7946-0958',
  signed_up_at: '2020-02-29T10:00:00+02:00',
  plan: 'pro',
};

function parseText(...pieces: (string | Uint8Array)[]): Promise<UserFileRow[]> {
  return collect(parseUserFile(Readable.from(pieces)));
}

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

async function* failingSource(): AsyncGenerator<string> {
  yield `${HEADER}\n`;
  await nextTurn();
  throw new Error('the disk is gone');
}

function normaliseOrError(cells: UserFileRow['cells']): NormalisedUser | InvalidUserError {
  try {
    return normaliseUser(cells, NOW);
  } catch (error) {
    if (error instanceof InvalidUserError) return error;
    throw error;
  }
}

const REASONS: Record<UserDefect, RegExp> = {
  'missing email': /^email: .* got nothing$/,
  'malformed email': /^email: expected an address as name@example.com, got ".+"$/,
  'missing name': /^full_name: .* got nothing$/,
  'impossible birth date': /^birth_date: expected a real date as YYYY-MM-DD, got "\d{4}-\d\d-\d\d"$/,
  'birth date in the future': /^birth_date: .* not in the future, got "2\d{3}-06-15"$/,
  'unknown country': /^country: /,
  'phone with letters': /^phone: /,
  'unknown plan': /^plan: expected one of free, pro, team, enterprise, got /,
  'wrong number of columns': /^row: expected 8 columns, got (5|9)$/,
  'sign-up before birth': /^signed_up_at: expected an instant after the birth, got "/,
};

/** What a row is, in the word of its intent if it is as meant. */
function judge(intent: RowIntent, user: NormalisedUser | InvalidUserError, emailsAbove: string[]): string {
  if (user instanceof InvalidUserError) {
    return intent.kind === 'bad' && REASONS[intent.defect].test(user.message) ? 'bad' : user.message;
  }
  const original = emailsAbove.indexOf(user.email);
  if (original === -1) return 'valid';
  return intent.kind === 'duplicate' && original === intent.ofRow ? 'duplicate' : `like row ${original}`;
}

describe('generateUserFile', () => {
  it.each([1, 2, 77])('is read as it is meant, row for row (seed %i)', async (seed) => {
    const rows = await parseText(...generateUserFile({ rows: 2_000, seed }));
    const intents = [...rowIntents(seed, 2_000)];
    expect(rows.map(({ line }) => line)).toEqual(intents.map((_, row) => row + 2));

    const emails: string[] = [];
    const judgements = intents.map((intent, row) => {
      const user = normaliseOrError(rows[row]!.cells);
      const judgement = judge(intent, user, emails);
      emails.push(user instanceof InvalidUserError ? '' : user.email);
      return judgement;
    });
    expect(judgements).toEqual(intents.map(({ kind }) => kind));
  });

  it('expects what counting the rows gives', async () => {
    const file = generateUserFile();
    const { expectation } = file;
    const users = (await parseText(...file)).map(({ cells }) => normaliseOrError(cells));
    const valid = users.filter((user): user is NormalisedUser => !(user instanceof InvalidUserError));
    const uniqueUsers = new Set(valid.map(({ email }) => email)).size;

    expect(expectation).toEqual({
      rows: users.length,
      uniqueUsers,
      duplicates: valid.length - uniqueUsers,
      badRows: users.length - valid.length,
      badRowsByDefect: Object.fromEntries(USER_DEFECTS.map((defect) => [defect, 25])),
    });
    expect(expectation).toMatchObject({ rows: 10_000, uniqueUsers: 9_450, duplicates: 300, badRows: 250 });
  });

  it('gives the same text for the same seed, however often and in what order it is read', () => {
    const file = generateUserFile({ rows: 1_000, seed: 5 });
    const other = generateUserFile({ rows: 1_000, seed: 6 });
    const text = [...file].join('');
    const [inTurn, otherInTurn] = [file[Symbol.iterator](), other[Symbol.iterator]()];
    let interleaved = '';
    for (let piece = inTurn.next(); !piece.done; piece = inTurn.next()) {
      interleaved += piece.value;
      otherInTurn.next();
    }
    expect(interleaved).toBe(text);
    expect([...other].join('')).not.toBe(text);
  });

  it('has people as they are: quotes, commas, umlauts, other scripts, typed addresses', () => {
    const text = [...generateUserFile({ rows: 2_000 })].join('');
    for (const sign of [
      /""\w+""/,
      /"\S+, \S+"/,
      /[äöüß]/,
      /\p{Script=Han}/u,
      /, {0,2}[A-Z][A-Z.]+\.\d+@/,
      /,,/,
    ]) {
      expect(text).toMatch(sign);
    }
  });

  it('comes in small pieces', () => {
    const pieces = [...generateUserFile({ rows: 5_000 })];
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(64 * 1024);
  });

  it.each([-1, 1.5, NaN])('refuses %p rows', (rows) => {
    expect(() => generateUserFile({ rows })).toThrow(`rows: expected a whole number from 0, got ${rows}`);
  });
});

describe('normaliseUser', () => {
  it('brings a row into one spelling', () => {
    const typed = {
      ...ADA,
      email: '  ADA@Example.COM ',
      full_name: ' Ada \u00a0 Lo\u0308velace ',
      country: 'gb',
      plan: ' Pro',
    };
    expect(normaliseUser(typed, NOW)).toEqual({
      id: '7',
      email: 'ada@example.com',
      fullName: 'Ada Lövelace',
      birthDate: '1990-12-10',
      country: 'GB',
      phone: '+442079460958',
      signedUpAt: '2020-02-29T08:00:00.000Z',
      plan: 'pro',
    });
  });

  it('takes a missing phone for none', () => {
    expect(normaliseUser({ ...ADA, phone: ' ' }, NOW).phone).toBeNull();
  });

  it('gives the same again for what it has normalised', () => {
    const user = normaliseUser(ADA, NOW);
    const again: UserCells = {
      id: user.id,
      email: user.email,
      full_name: user.fullName,
      birth_date: user.birthDate,
      country: user.country,
      phone: user.phone ?? '',
      signed_up_at: user.signedUpAt,
      plan: user.plan,
    };
    expect(normaliseUser(again, NOW)).toEqual(user);
  });

  it.each<[Partial<UserCells>, string]>([
    [{ id: '' }, 'id: expected an id, got nothing'],
    [{ email: ' ' }, 'email: expected an address, got nothing'],
    [{ email: 'ada' }, 'email: expected an address as name@example.com, got "ada"'],
    [{ email: 'ada@example' }, 'email: expected an address as name@example.com, got "ada@example"'],
    [{ email: 'a@b@example.com' }, 'email: expected an address as name@example.com, got "a@b@example.com"'],
    [{ email: 'ada@example..com' }, 'email: expected an address as name@example.com, got "ada@example..com"'],
    [
      { full_name: 'Ada\nLovelace' },
      'full_name: expected a name without control characters, got "Ada\\nLovelace"',
    ],
    [{ full_name: 'Ada\u0000' }, 'full_name: expected a name without control characters, got "Ada\\u0000"'],
    [
      { full_name: 'x'.repeat(201) },
      'full_name: expected a name of at most 200 characters, got 201 characters',
    ],
    [{ birth_date: '2023-02-30' }, 'birth_date: expected a real date as YYYY-MM-DD, got "2023-02-30"'],
    [{ birth_date: '2023-02-29' }, 'birth_date: expected a real date as YYYY-MM-DD, got "2023-02-29"'],
    [{ birth_date: '10.12.1990' }, 'birth_date: expected a real date as YYYY-MM-DD, got "10.12.1990"'],
    [{ birth_date: '0190-12-10' }, 'birth_date: expected a date since 1900, got "0190-12-10"'],
    [{ birth_date: '2026-01-02' }, 'birth_date: expected a date that is not in the future, got "2026-01-02"'],
    [{ country: 'UK' }, 'country: expected a two-letter country code of ISO 3166-1, got "UK"'],
    [{ phone: '12ab' }, 'phone: expected 5 to 15 digits, with + ( ) - . / and spaces allowed, got "12ab"'],
    [
      { phone: '1'.repeat(16) },
      `phone: expected 5 to 15 digits, with + ( ) - . / and spaces allowed, got "${'1'.repeat(16)}"`,
    ],
    [
      { signed_up_at: '2020-02-29' },
      'signed_up_at: expected an instant as YYYY-MM-DDThh:mm:ssZ, got "2020-02-29"',
    ],
    [
      { signed_up_at: '2023-02-30T10:00:00Z' },
      'signed_up_at: expected an instant as YYYY-MM-DDThh:mm:ssZ, got "2023-02-30T10:00:00Z"',
    ],
    [
      { signed_up_at: '1990-12-09T23:59:59Z' },
      'signed_up_at: expected an instant after the birth, got "1990-12-09T23:59:59Z"',
    ],
    [{ plan: 'gold' }, 'plan: expected one of free, pro, team, enterprise, got "gold"'],
  ])('refuses %p', (change, message) => {
    expect(normaliseOrError({ ...ADA, ...change })).toMatchObject({ name: 'InvalidUserError', message });
  });

  it('refuses a row with the wrong number of columns', () => {
    expect(normaliseOrError({ malformed: ['1', 'x'], expectedColumns: 8 })).toMatchObject({
      field: 'row',
      message: 'row: expected 8 columns, got 2',
    });
  });

  it('gives the same reason for different values, and a message of bounded length', () => {
    const [first, second] = ['x'.repeat(50_000), `${'x'.repeat(79)}😀${'y'.repeat(9)}`].map(
      (plan) => normaliseOrError({ ...ADA, plan }) as InvalidUserError,
    );
    expect(first!.reason).toBe(second!.reason);
    expect(first!.message.length).toBeLessThan(200);
    expect(second!.got).toBe(JSON.stringify(`${'x'.repeat(79)}😀…`));
  });

  it('knows every country', () => {
    const codes = faker.definitions.location.country_code.map(({ alpha2 }) => alpha2);
    expect(codes.length).toBeGreaterThan(240);
    expect(
      codes.filter((country) => normaliseOrError({ ...ADA, country }) instanceof InvalidUserError),
    ).toEqual([]);
  });

  it('ends with a user or an InvalidUserError, whatever the cells hold', () => {
    const cell = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        ...Object.values(ADA),
        '\ud800',
        '\u007f',
        '\u009b31m',
        '__proto__',
        '9999-99-99',
        'T',
        '+',
      ),
    );
    fc.assert(
      fc.property(fc.record(Object.fromEntries(USER_COLUMNS.map((name) => [name, cell]))), (cells) => {
        const user = normaliseOrError(cells as UserCells);
        // A control character or half a surrogate pair would fail the whole statement that the user is stored
        // with.
        const texts = user instanceof InvalidUserError ? [user.message, user.reason] : Object.values(user);
        expect(texts.filter((text) => /[\p{Cc}\p{Cs}]/u.test(text ?? ''))).toEqual([]);
      }),
    );
  });
});

describe('parseUserFile', () => {
  const ROWS = [
    '1,a@b.example,"Müller, ""Bo""\r\n 山田",1990-01-01,DE,,2020-01-01T00:00:00Z,free',
    '2,short',
    '3,a,b,c,d,e,f,g,h',
  ];

  it('gives the same rows wherever the bytes are cut, with any line end and with a byte order mark', async () => {
    const expected = [
      {
        line: 3,
        cells: {
          id: '1',
          email: 'a@b.example',
          full_name: 'Müller, "Bo"\r\n 山田',
          birth_date: '1990-01-01',
          country: 'DE',
          phone: '',
          signed_up_at: '2020-01-01T00:00:00Z',
          plan: 'free',
        },
      },
      { line: 5, cells: { malformed: ['2', 'short'], expectedColumns: 8 } },
      { line: 7, cells: { malformed: ['3', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'], expectedColumns: 8 } },
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.constantFrom('', '\ufeff'),
        fc.boolean(),
        fc.array(fc.nat(400), { maxLength: 60 }),
        async (lineEnd, mark, hasLastLineEnd, cuts) => {
          const lines = [mark + HEADER, '', ROWS[0], ROWS[1], '', ROWS[2]];
          const bytes = Buffer.from(lines.join(lineEnd) + (hasLastLineEnd ? lineEnd : ''));
          const edges = [
            0,
            ...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b),
            bytes.length,
          ];
          const pieces = edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
          expect(await parseText(...pieces)).toEqual(expected);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('finds its columns in any order, among others', async () => {
    const header = ['Plan', 'note', ...USER_COLUMNS.slice(0, -1), '__proto__'];
    const [row] = await parseText(`${header.join(',')}\npro,secret,7,e,n,b,c,p,s,evil\n`);
    expect(row!.cells).toEqual({
      id: '7',
      email: 'e',
      full_name: 'n',
      birth_date: 'b',
      country: 'c',
      phone: 'p',
      signed_up_at: 's',
      plan: 'pro',
    });
    expect(Object.keys(row!.cells)).toHaveLength(8);
  });

  it('has no rows below a header alone', async () => {
    expect(await parseText(`${HEADER}\r\n\r\n`)).toEqual([]);
  });

  const ROW = Object.values(ADA).join(',');
  const HEADER_EXPECTED = `line 1: expected a header with the columns ${USER_COLUMNS.join(', ')}`;

  it.each<[string, (string | Uint8Array)[], string]>([
    ['an empty file', [], 'line 1: expected a header line, got an empty file'],
    ['a mark and nothing else', ['\ufeff'], 'line 1: expected a header line, got an empty file'],
    ['empty lines only', ['\n\r\n\n'], 'line 1: expected a header line, got an empty file'],
    [
      'no header',
      [`${ROW}\n`],
      `${HEADER_EXPECTED}, got ${JSON.stringify(ROW)} without ${USER_COLUMNS.join(', ')}`,
    ],
    [
      'missing columns',
      ['id,email,full_name,birth_date,country,phone\n'],
      `${HEADER_EXPECTED}, got "id,email,full_name,birth_date,country,phone" without signed_up_at, plan`,
    ],
    ['semicolons', ['id;email\n'], `${HEADER_EXPECTED}, got "id;email" without ${USER_COLUMNS.join(', ')}`],
    [
      'a wrong header below an empty line',
      ['\n\nid\n'],
      `${HEADER_EXPECTED.replace('1', '3')}, got "id" without ${USER_COLUMNS.slice(1).join(', ')}`,
    ],
    [
      'a repeated column',
      [`${HEADER},Email\n`],
      'line 1: expected each column once, got email more than once',
    ],
    [
      'a quote that is never closed',
      [`${HEADER}\n${ROW}\n\n8,"x\ny\nz,1\n`],
      'line 4: expected a closing quote, got the end of the file',
    ],
    [
      'a quote that is closed by a later one',
      [`${HEADER}\n${ROW}\n8,"x,a\n9,"y",b\n`],
      'line 3: expected a comma or the end of the line after a closing quote, got other text',
    ],
    [
      'a quote inside a cell',
      [`${HEADER}\n8,Ada "A" L\n`],
      'line 2: expected quotes around a whole cell, got a quote inside an unquoted cell',
    ],
    [
      'an endless row',
      [`${HEADER}\n${ROW}\n"${'x'.repeat(70_000)}`],
      'line 3: expected a row of at most 65536 bytes, got a longer one',
    ],
    [
      'Latin-1',
      [`${HEADER}\n${ROW}\n`, Buffer.from(`8,M\u00fcller\n${ROW}`, 'latin1')],
      'line 3: expected UTF-8 text, got bytes that are not UTF-8',
    ],
    [
      'a character that is cut off at the end',
      [`${HEADER}\n`, Buffer.from('8,\u5c71').subarray(0, -1)],
      'line 2: expected UTF-8 text, got bytes that are not UTF-8',
    ],
    ['a NUL', [`${HEADER}\n${ROW}\n8,a\0b\n`], 'line 3: expected UTF-8 text, got a NUL byte'],
    [
      'UTF-16',
      [Buffer.from(`\ufeff${HEADER}\n`, 'utf16le')],
      'line 1: expected UTF-8 text, got bytes that are not UTF-8',
    ],
    [
      'an archive',
      [Buffer.from('1f8b0800000000000003', 'hex')],
      'line 1: expected UTF-8 text, got bytes that are not UTF-8',
    ],
  ])('refuses %s', async (_, pieces, message) => {
    const error = await parseText(...pieces).then(
      () => 'no error',
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(MalformedFileError);
    expect((error as Error).message).toBe(message);
  });

  it('reads no further ahead than a few pieces', async () => {
    let pieces = 0;
    const endless = async function* (): AsyncGenerator<string> {
      yield `${HEADER}\n`;
      for (;;) {
        pieces++;
        yield `${ROW}\n`.repeat(20);
        await nextTurn();
      }
    };
    const rows = parseUserFile(endless());
    for (let count = 0; count < 100; count++) await rows.next();
    for (let turn = 0; turn < 200; turn++) await nextTurn();
    expect(pieces).toBeLessThan(60);
    await rows.return();
  });

  it('closes its source when nobody reads on', async () => {
    const source = Readable.from([`${HEADER}\n`, ...Array<string>(1_000).fill(`${ROW}\n`)]);
    const closed = new Promise((resolve) => source.once('close', resolve));
    for await (const { line } of parseUserFile(source)) if (line > 5) break;
    await closed;
    expect(source.destroyed).toBe(true);
  });

  it('passes on what goes wrong in its source', async () => {
    await expect(collect(parseUserFile(failingSource()))).rejects.toThrow('the disk is gone');
  });
});
