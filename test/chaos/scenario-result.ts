import type { Verdict } from './ledger/verdict.js';
import type { Scenario } from './scenarios.js';

/** What a scenario came to. */
export interface ScenarioResult extends Verdict {
  readonly name: string;
  readonly flush: Scenario['flush'];
  readonly seed: number;
  readonly durationMs: number;
  /** What happened besides that may not, a sentence each. */
  readonly problems: readonly string[];
}

/** What breaks a promise, a line each; none: the scenario has passed. */
export function brokenPromises(result: ScenarioResult): string[] {
  return [
    ...list('lost', result.lost),
    ...list('dead although nothing was wrong with them', result.wronglyDead),
    ...(result.submitted === 0 ? ['nothing was submitted'] : []),
    ...result.problems,
  ];
}

/** More names than anybody reads; the file that `--json` writes has all. */
const MOST_NAMES = 100;

function list(what: string, items: readonly string[]): string[] {
  if (items.length === 0) return [];
  const more = items.length > MOST_NAMES ? ` and ${items.length - MOST_NAMES} more` : '';
  return [`${items.length} items ${what}: ${items.slice(0, MOST_NAMES).join(', ')}${more}`];
}
