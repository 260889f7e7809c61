import { describeValue, InvalidInputError } from '../invalid-input.js';
import { COUNTRY_CODES } from './country-codes.js';
import { USER_PLANS, type MalformedCells, type UserCells, type UserPlan } from './user-columns.js';

/**
 * A user as it is stored: trimmed, in one spelling, and checked. All text, so that it travels through any
 * engine.
 */
export interface NormalisedUser {
  /** The row's own id in the file. */
  readonly id: string;
  /** In lower case; two users are the same if this is. */
  readonly email: string;
  readonly fullName: string;
  /** `YYYY-MM-DD` */
  readonly birthDate: string;
  /** ISO 3166-1, two letters. */
  readonly country: string;
  /** Digits, with a `+` before them if the country's code is among them. */
  readonly phone: string | null;
  /** ISO 8601 in UTC. */
  readonly signedUpAt: string;
  readonly plan: UserPlan;
}

/** A row that can never become a user. */
export class InvalidUserError extends InvalidInputError {
  override readonly name = 'InvalidUserError';
}

/**
 * Turns the cells of one row into a user, or throws an {@link InvalidUserError} that names the first field
 * that is wrong.
 *
 * @param now Nobody is born after it. Default: the present.
 */
export function normaliseUser(cells: UserCells | MalformedCells, now: Date = new Date()): NormalisedUser {
  if ('malformed' in cells) {
    throw new InvalidUserError('row', `${cells.expectedColumns} columns`, String(cells.malformed.length));
  }
  const id = requireText('id', cells.id, 'an id', 64);
  const email = normaliseEmail(cells.email);
  const fullName = requireText('full_name', cells.full_name, 'a name', 200);
  const birthDate = normaliseBirthDate(cells.birth_date, now);
  return {
    id,
    email,
    fullName,
    birthDate,
    country: normaliseCountry(cells.country),
    phone: normalisePhone(cells.phone),
    signedUpAt: normaliseSignUp(cells.signed_up_at, birthDate),
    plan: normalisePlan(cells.plan),
  };
}

const EMAIL = /^[^\s@"(),:;<>[\]\\]{1,64}@[^\s@.]+(?:\.[^\s@.]+)+$/;
const LONGEST_EMAIL = 254;

function normaliseEmail(cell: string): string {
  const email = requireText('email', cell, 'an address', Infinity).toLowerCase();
  if (email.length > LONGEST_EMAIL || !EMAIL.test(email)) {
    throw new InvalidUserError('email', 'an address as name@example.com', describeValue(cell));
  }
  return email;
}

function normaliseBirthDate(cell: string, now: Date): string {
  const date = cell.trim();
  if (!isRealDate(date))
    throw new InvalidUserError('birth_date', 'a real date as YYYY-MM-DD', describeValue(cell));
  if (date < '1900-01-01') throw new InvalidUserError('birth_date', 'a date since 1900', describeValue(cell));
  if (Date.parse(date) > now.getTime()) {
    throw new InvalidUserError('birth_date', 'a date that is not in the future', describeValue(cell));
  }
  return date;
}

function normaliseCountry(cell: string): string {
  const country = cell.trim().toUpperCase();
  if (!COUNTRY_CODES.has(country)) {
    throw new InvalidUserError('country', 'a two-letter country code of ISO 3166-1', describeValue(cell));
  }
  return country;
}

function normalisePhone(cell: string): string | null {
  const phone = cell.trim();
  if (phone === '') return null;
  const digits = phone.replace(/[\s().\-/]/g, '');
  // E.164 allows fifteen digits.
  if (!/^\+?\d{5,15}$/.test(digits)) {
    throw new InvalidUserError(
      'phone',
      '5 to 15 digits, with + ( ) - . / and spaces allowed',
      describeValue(cell),
    );
  }
  return digits;
}

function normaliseSignUp(cell: string, birthDate: string): string {
  const instant = cell.trim();
  const isInstant = /^(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2})$/.exec(
    instant,
  );
  const atMs = isInstant && isRealDate(isInstant[1] ?? '') ? Date.parse(instant) : NaN;
  if (Number.isNaN(atMs)) {
    throw new InvalidUserError('signed_up_at', 'an instant as YYYY-MM-DDThh:mm:ssZ', describeValue(cell));
  }
  if (atMs < Date.parse(birthDate)) {
    throw new InvalidUserError('signed_up_at', 'an instant after the birth', describeValue(cell));
  }
  return new Date(atMs).toISOString();
}

function normalisePlan(cell: string): UserPlan {
  const plan = USER_PLANS.find((known) => known === cell.trim().toLowerCase());
  if (plan === undefined) {
    throw new InvalidUserError('plan', `one of ${USER_PLANS.join(', ')}`, describeValue(cell));
  }
  return plan;
}

function requireText(field: string, cell: string, expected: string, longest: number): string {
  const text = cell.normalize('NFC').trim();
  if (text === '') throw new InvalidUserError(field, expected, 'nothing');
  // Postgres stores no NUL, and a line break in a name is a sign of a broken quote.
  if (/\p{Cc}/u.test(text))
    throw new InvalidUserError(field, `${expected} without control characters`, describeValue(cell));
  if (text.length > longest) {
    throw new InvalidUserError(
      field,
      `${expected} of at most ${longest} characters`,
      `${text.length} characters`,
    );
  }
  return text.replace(/\s+/g, ' ');
}

/** `Date.parse` alone takes the 30th of February for the 2nd of March. */
function isRealDate(date: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(date)) return false;
  const parsed = new Date(`${date}T00:00:00Z`);
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(date);
}
