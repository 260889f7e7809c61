import { seededRandom } from './seeded-random.js';

/** The ten ways in which a row of a generated file is bad. */
export const USER_DEFECTS = [
  'missing email',
  'malformed email',
  'missing name',
  'impossible birth date',
  'birth date in the future',
  'unknown country',
  'phone with letters',
  'unknown plan',
  'wrong number of columns',
  'sign-up before birth',
] as const;

export type UserDefect = (typeof USER_DEFECTS)[number];

/** What a row of a generated file is meant to be. */
export type RowIntent =
  | { readonly kind: 'valid' }
  /** Has the email of an earlier valid row, in other letters and spaces. */
  | { readonly kind: 'duplicate'; readonly ofRow: number }
  | { readonly kind: 'bad'; readonly defect: UserDefect };

/** What a generated file holds, known before a single row is read. */
export interface UserFileExpectation {
  readonly rows: number;
  /** Valid rows with an email that no earlier row has. */
  readonly uniqueUsers: number;
  readonly duplicates: number;
  readonly badRows: number;
  readonly badRowsByDefect: Readonly<Record<UserDefect, number>>;
}

const BLOCK_ROWS = 400;
const DUPLICATES_PER_BLOCK = 12;
const NEARBY_ROWS = 50;

/**
 * Decides, row by row, what a file holds. Each block of 400 rows has every defect once (2.5 %) and 12
 * duplicates (3 %), at positions drawn from the seed; half of the duplicates repeat a row close by, half one
 * from anywhere before. The first row of a block is always valid, so that a duplicate has something before
 * it.
 *
 * Nothing here knows what a valid row looks like. That makes the expectation independent of the code that is
 * tested with it.
 */
export function* rowIntents(seed: number, rows: number): Generator<RowIntent, void, undefined> {
  for (let block = 0; block * BLOCK_ROWS < rows; block++) {
    const marks = drawMarks(seed, block);
    const rowsInBlock = Math.min(BLOCK_ROWS, rows - block * BLOCK_ROWS);
    for (let position = 0; position < rowsInBlock; position++) {
      const mark = marks.get(position);
      if (mark === undefined) yield { kind: 'valid' };
      else if (mark === 'duplicate') {
        yield { kind: 'duplicate', ofRow: drawOriginal(seed, block * BLOCK_ROWS + position) };
      } else yield { kind: 'bad', defect: mark };
    }
  }
}

/** Counts what a file of this seed and size holds. */
export function expectedOf(seed: number, rows: number): UserFileExpectation {
  const badRowsByDefect = Object.fromEntries(USER_DEFECTS.map((defect) => [defect, 0])) as Record<
    UserDefect,
    number
  >;
  let uniqueUsers = 0;
  let duplicates = 0;
  for (const intent of rowIntents(seed, rows)) {
    if (intent.kind === 'valid') uniqueUsers++;
    else if (intent.kind === 'duplicate') duplicates++;
    else badRowsByDefect[intent.defect]++;
  }
  return { rows, uniqueUsers, duplicates, badRows: rows - uniqueUsers - duplicates, badRowsByDefect };
}

type Marks = ReadonlyMap<number, UserDefect | 'duplicate'>;

function drawMarks(seed: number, block: number): Marks {
  const random = seededRandom(seed, 'layout', block);
  const marks = new Map<number, UserDefect | 'duplicate'>();
  const wanted = [...USER_DEFECTS, ...Array<'duplicate'>(DUPLICATES_PER_BLOCK).fill('duplicate')];
  for (const mark of wanted) {
    let position: number;
    do position = 1 + random.integer(BLOCK_ROWS - 1);
    while (marks.has(position));
    marks.set(position, mark);
  }
  return marks;
}

/** A valid row before `row`: the drawn one or, if that is no valid row, the next valid one above it. */
function drawOriginal(seed: number, row: number): number {
  const random = seededRandom(seed, 'original', row);
  const distance = random.chance(0.5)
    ? 1 + random.integer(Math.min(row, NEARBY_ROWS))
    : 1 + random.integer(row);
  const drawn = row - distance;
  const marks = drawMarks(seed, Math.floor(drawn / BLOCK_ROWS));
  let original = drawn;
  while (marks.has(original % BLOCK_ROWS)) original--;
  return original;
}
