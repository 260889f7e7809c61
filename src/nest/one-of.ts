import type { Rule } from '../core/option-rules.js';

/** A rule for names of which all are known. */
export function oneOf(what: string, known: readonly string[]): Rule {
  return (value) =>
    known.includes(value as string)
      ? undefined
      : `expected ${what} (${known.length === 0 ? 'none is known' : `known: ${known.join(', ')}`})`;
}
