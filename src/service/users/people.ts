import type { Faker } from '@faker-js/faker';
import { faker as de } from '@faker-js/faker/locale/de';
import { faker as en } from '@faker-js/faker/locale/en';
import { faker as fr } from '@faker-js/faker/locale/fr';
import { faker as ja } from '@faker-js/faker/locale/ja';
import { faker as pl } from '@faker-js/faker/locale/pl';
import { seededRandom } from './seeded-random.js';

/** A made-up person, with nothing wrong about it. */
export interface Person {
  /** May hold quotes, commas, umlauts and letters of other scripts. */
  readonly fullName: string;
  /** Unique for each row, in lower case. */
  readonly email: string;
  /** `YYYY-MM-DD` */
  readonly birthDate: string;
  readonly country: string;
  /** Empty for one person in ten. */
  readonly phone: string;
  /** ISO 8601, in UTC, always after the birth. */
  readonly signedUpAt: string;
}

const PARTS_PER_LOCALE = 400;
const DAY_MS = 86_400_000;
const OLDEST_BIRTH_MS = Date.UTC(1935, 0, 1);
const YOUNGEST_BIRTH_MS = Date.UTC(2007, 0, 1);
const FIRST_SIGN_UP_MS = Date.UTC(2016, 0, 1);
const LAST_SIGN_UP_MS = Date.UTC(2025, 0, 1);

interface Locale {
  readonly faker: Faker;
  readonly country: string;
  readonly familyNameFirst?: boolean;
}

// Single locales: the package's main entry loads more than seventy.
const LOCALES: readonly Locale[] = [
  { faker: en, country: 'US' },
  { faker: de, country: 'DE' },
  { faker: fr, country: 'FR' },
  { faker: pl, country: 'PL' },
  { faker: ja, country: 'JP', familyNameFirst: true },
];

interface NameParts {
  readonly locale: Locale;
  readonly givenNames: readonly string[];
  readonly familyNames: readonly string[];
  readonly phones: readonly string[];
}

/**
 * People that follow from a seed. Names and numbers are drawn from faker once, for each locale; a row's
 * person is then put together from the seed and the row's number alone, so that any row can be asked for
 * again.
 */
export function createPeople(seed: number): (row: number) => Person {
  const locales = LOCALES.map((locale) => drawParts(locale, seed));
  en.seed([seed, LOCALES.length]);
  const providers = draw(20, () => `${en.internet.domainWord()}.example`);
  const countries = draw(60, () => en.location.countryCode('alpha-2'));

  return (row) => {
    const random = seededRandom(seed, 'person', row);
    const { locale, givenNames, familyNames, phones } = random.pick(locales);
    const given = random.pick(givenNames);
    const family = random.pick(familyNames);
    const day = (fromMs: number, toMs: number): number =>
      fromMs + random.integer((toMs - fromMs) / DAY_MS) * DAY_MS;
    return {
      fullName: locale.familyNameFirst
        ? `${family} ${given}`
        : decorateName(given, family, random.integer(100)),
      email: `${mailboxName(given, family)}.${row + 1}@${random.pick(providers)}`,
      birthDate: new Date(day(OLDEST_BIRTH_MS, YOUNGEST_BIRTH_MS)).toISOString().slice(0, 10),
      country: random.chance(0.8) ? locale.country : random.pick(countries),
      phone: random.chance(0.1) ? '' : random.pick(phones),
      signedUpAt: new Date(day(FIRST_SIGN_UP_MS, LAST_SIGN_UP_MS) + random.integer(DAY_MS)).toISOString(),
    };
  };
}

// Synchronous from seed to last draw: the fakers are shared by the process, and nobody may draw in between.
function drawParts(locale: Locale, seed: number): NameParts {
  const { faker } = locale;
  faker.seed([seed, LOCALES.indexOf(locale)]);
  return {
    locale,
    givenNames: draw(PARTS_PER_LOCALE, () => faker.person.firstName()),
    familyNames: draw(PARTS_PER_LOCALE, () => faker.person.lastName()),
    phones: draw(PARTS_PER_LOCALE, (index) =>
      faker.phone.number({ style: index % 2 === 0 ? 'international' : 'national' }),
    ),
  };
}

function draw<T>(count: number, next: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => next(index));
}

function decorateName(given: string, family: string, percentile: number): string {
  if (percentile < 4) return `${given} "${given.slice(0, 3)}" ${family}`;
  if (percentile < 8) return `${family}, ${given}`;
  if (percentile < 11) return `${given} ${family}, Jr.`;
  return `${given} ${family}`;
}

const LETTERS_WITHOUT_DECOMPOSITION: Readonly<Record<string, string>> = {
  ß: 'ss',
  ł: 'l',
  ø: 'o',
  æ: 'ae',
  œ: 'oe',
  đ: 'd',
};

function mailboxName(given: string, family: string): string {
  const ascii = `${given}.${family}`
    .toLowerCase()
    .replace(/[ßłøæœđ]/g, (letter) => LETTERS_WITHOUT_DECOMPOSITION[letter] ?? '')
    .normalize('NFD')
    .replace(/[^a-z.-]/g, '');
  return /^[a-z].*[a-z]$/.test(ascii) ? ascii : 'user';
}
