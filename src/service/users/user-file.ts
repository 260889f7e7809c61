import { createPeople, type Person } from './people.js';
import { seededRandom, type SeededRandom } from './seeded-random.js';
import { USER_COLUMNS, USER_PLANS, type UserCells } from './user-columns.js';
import {
  expectedOf,
  rowIntents,
  type RowIntent,
  type UserDefect,
  type UserFileExpectation,
} from './user-file-layout.js';

export interface UserFileOptions {
  /** Rows below the header. Default 10,000. */
  readonly rows?: number;
  /** The same seed and number of rows give the same file. Default 1. */
  readonly seed?: number;
}

/** A made-up file, and what is in it. */
export interface UserFile extends Iterable<string> {
  readonly expectation: UserFileExpectation;
}

const ROWS_PER_CHUNK = 250;
const TWO_YEARS_MS = 2 * 365 * 86_400_000;

/**
 * Makes a CSV file of users as one gets them from an export: people of several countries, some addresses in
 * odd letters and spaces, about 3 % repeated addresses and 2.5 % bad rows of ten kinds. It is an iterable of
 * text, made as it is read and never held in memory; iterating again gives the same text again.
 */
export function generateUserFile({ rows = 10_000, seed = 1 }: UserFileOptions = {}): UserFile {
  if (!Number.isSafeInteger(rows) || rows < 0) {
    throw new RangeError(`rows: expected a whole number from 0, got ${rows}`);
  }
  return {
    expectation: expectedOf(seed, rows),
    [Symbol.iterator]: () => generateText(rows, seed),
  };
}

function* generateText(rows: number, seed: number): Generator<string, void, undefined> {
  const personOf = createPeople(seed);
  let chunk = `${USER_COLUMNS.join(',')}\n`;
  let row = 0;
  for (const intent of rowIntents(seed, rows)) {
    chunk += `${rowText(row, intent, personOf, seededRandom(seed, 'row', row))}\n`;
    row++;
    if (row % ROWS_PER_CHUNK === 0) {
      yield chunk;
      chunk = '';
    }
  }
  if (chunk !== '') yield chunk;
}

function rowText(
  row: number,
  intent: RowIntent,
  personOf: (row: number) => Person,
  random: SeededRandom,
): string {
  const cells = cellsOf(row, personOf(row), random);
  if (intent.kind === 'duplicate') cells.email = disguise(personOf(intent.ofRow).email, random);
  if (intent.kind !== 'bad') return csvLine(Object.values(cells));
  if (intent.defect === 'wrong number of columns') return csvLine(miscount(Object.values(cells), random));
  return csvLine(Object.values({ ...cells, ...WRONG_CELLS[intent.defect](cells, random) }));
}

function cellsOf(row: number, person: Person, random: SeededRandom): UserCells {
  return {
    id: String(row + 1),
    email: random.chance(0.15) ? disguise(person.email, random) : person.email,
    full_name: person.fullName,
    birth_date: person.birthDate,
    country: person.country,
    phone: person.phone,
    signed_up_at: person.signedUpAt,
    plan: random.pick(USER_PLANS),
  };
}

/** The same address as people type it. */
function disguise(email: string, random: SeededRandom): string {
  const typed = random.chance(0.5)
    ? email.toUpperCase()
    : email.replace(/(^|[.@])([a-z])/g, (_, before: string, letter: string) => before + letter.toUpperCase());
  return random.chance(0.5) ? ` ${typed}  ` : typed;
}

type WrongCell = (cells: UserCells, random: SeededRandom) => Partial<UserCells>;

const WRONG_CELLS: Readonly<Record<Exclude<UserDefect, 'wrong number of columns'>, WrongCell>> = {
  'missing email': (_, random) => ({ email: random.pick(['', '  ']) }),
  'malformed email': ({ email }, random) => ({ email: email.replace('@', random.pick(['', '@@', ' at '])) }),
  'missing name': (_, random) => ({ full_name: random.pick(['', ' ']) }),
  'impossible birth date': (_, random) => ({
    birth_date: random.pick(['2023-02-30', '1990-13-01', '1985-04-31']),
  }),
  'birth date in the future': (_, random) => ({ birth_date: `2${200 + random.integer(700)}-06-15` }),
  'unknown country': (_, random) => ({ country: random.pick(['XX', 'ZZ', 'Germany', '']) }),
  'phone with letters': (_, random) => ({
    phone: random.pick(['call me', '+49 30 ABC123', '1-800-FLOWERS']),
  }),
  'unknown plan': (_, random) => ({ plan: random.pick(['platinum', 'trial', '']) }),
  'sign-up before birth': ({ birth_date }) => ({
    signed_up_at: new Date(Date.parse(birth_date) - TWO_YEARS_MS).toISOString(),
  }),
};

/** The last cells are missing, or a name with a comma has lost its quotes. */
function miscount(cells: readonly string[], random: SeededRandom): readonly string[] {
  if (random.chance(0.5)) return cells.slice(0, 5);
  return cells.flatMap((cell, index) => (index === 2 ? ['Smith', ' John'] : [cell]));
}

function csvLine(cells: readonly string[]): string {
  return cells.map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(',');
}
