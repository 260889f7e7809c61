import { describe } from './describe.js';
import { InvalidOptionsError } from './errors.js';

/** Says what is wrong with a value ("expected …"), or undefined when nothing is. */
export type Rule = (value: unknown) => string | undefined;

/** The rules of an options object, by the name of the option. */
export type Rules<Options> = { readonly [Name in keyof Required<Options>]: Rule };

export const wholeNumber =
  (least: number, most = Number.MAX_SAFE_INTEGER): Rule =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
      ? undefined
      : `expected a whole number ${range(least, most, Number.MAX_SAFE_INTEGER)}`;

export const number =
  (least: number, most = Number.MAX_VALUE): Rule =>
  (value) =>
    Number.isFinite(value) && (value as number) >= least && (value as number) <= most
      ? undefined
      : `expected a number ${range(least, most, Number.MAX_VALUE)}`;

/** The longest delay of a timer, in milliseconds: nearly 25 days. A longer one would be over at once. */
const LONGEST_DURATION_MS = 2 ** 31 - 1;

/** Milliseconds. */
export const duration: Rule = (value) =>
  Number.isFinite(value) && (value as number) >= 0 && (value as number) <= LONGEST_DURATION_MS
    ? undefined
    : `expected milliseconds from 0 to ${LONGEST_DURATION_MS}`;

export const func: Rule = (value) => (typeof value === 'function' ? undefined : 'expected a function');

/** An object, or a class, that has these methods. */
export function hasMethods(what: string, names: readonly string[]): Rule {
  return (value) => {
    const missing = names.filter(
      (name) => typeof (value as Record<string, unknown> | null)?.[name] !== 'function',
    );
    return missing.length === 0 ? undefined : `expected ${what} (it lacks ${missing.join(', ')})`;
  };
}

export const text: Rule = (value) =>
  typeof value === 'string' && value !== '' ? undefined : 'expected a text that is not empty';

export const textOrFunction: Rule = (value) =>
  typeof value === 'function' || (typeof value === 'string' && value !== '')
    ? undefined
    : 'expected a text that is not empty, or a function';

/** A rule for names of which all are known. */
export function oneOf(what: string, known: readonly string[]): Rule {
  return (value) =>
    known.includes(value as string)
      ? undefined
      : `expected ${what} (${known.length === 0 ? 'none is known' : `known: ${known.join(', ')}`})`;
}

export const signal: Rule = (value) => (value instanceof AbortSignal ? undefined : 'expected an AbortSignal');

export const date: Rule = (value) =>
  value instanceof Date && !Number.isNaN(value.getTime()) ? undefined : 'expected a Date that is valid';

export const boolean: Rule = (value) => (typeof value === 'boolean' ? undefined : 'expected true or false');

function range(least: number, most: number, unbounded: number): string {
  return most === unbounded ? `of ${least} or more` : `from ${least} to ${most}`;
}

/**
 * The problems of `options` by `rules`, a line each: unknown names, and values that a rule refuses. An option that is
 * undefined counts as not given.
 *
 * @param path stands before the name of an option, as in `retry.`
 */
export function findProblems(options: unknown, rules: Readonly<Record<string, Rule>>, path = ''): string[] {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    return [`${path === '' ? 'options' : path.slice(0, -1)}: expected an object, got ${describe(options)}`];
  }
  return Object.entries(options).flatMap(([name, value]) => {
    if (!Object.hasOwn(rules, name)) {
      return [`${path}${name}: unknown option; expected one of ${Object.keys(rules).join(', ')}`];
    }
    if (value === undefined) return [];
    const problem = rules[name]!(value);
    return problem === undefined ? [] : [`${path}${name}: ${problem}, got ${describe(value)}`];
  });
}

/** What has to be given and is not, a line each. Options that are no object are for `findProblems`. */
export function findMissing<Name extends string>(
  options: { readonly [Key in Name]?: unknown },
  rulesOfOptions: { readonly [Key in Name]: Rule },
  names: readonly Name[],
): string[] {
  if (typeof options !== 'object' || options === null) return [];
  return names
    .filter((name) => options[name] === undefined)
    .map((name) => `${name}: ${rulesOfOptions[name](undefined)}, got undefined`);
}

/** @throws InvalidOptionsError when there are problems */
export function refuseProblems(subject: string, problems: readonly string[]): void {
  if (problems.length > 0) throw new InvalidOptionsError(subject, problems);
}

/** `options` without those that are undefined, so that spreading it keeps the defaults. */
export function given<Options extends object>(options: Options): Partial<Options> {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as Partial<Options>;
}
