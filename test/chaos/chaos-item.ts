import type { SeededRandom } from './seeded-random.js';

/** What its handler does with an item, every time that it is run. */
export type Fate =
  /** Succeeds. */
  | 'good'
  /** Fails at its first attempt. */
  | 'fails-once'
  /** Fails at each attempt: has to end as a dead letter. */
  | 'fails-always'
  /** Kills the process that it runs in: has to end as a dead letter. */
  | 'poison';

export interface ChaosItem {
  /** Its fate stands in it, so that the ledger can be read by itself. */
  readonly name: string;
  /** How long its handler takes, in milliseconds. */
  readonly workMs: number;
}

/** Attempts that an item has, the first one included. */
export const MOST_ATTEMPTS = 3;
export const RETRY_BACKOFF_MS = 200;

const FAILS_ONCE_SHARE = 0.02;
const FAILS_ALWAYS_SHARE = 0.01;
const SHORTEST_WORK_MS = 10;
const LONGEST_WORK_MS = 60;

/** Makes items with names of their own. */
export class ItemMaker {
  private made = 0;

  constructor(
    private readonly producer: string,
    private readonly random: SeededRandom,
  ) {}

  make(fate: Fate = this.anyFate()): ChaosItem {
    const name = `${fate}/${this.producer}/${this.made++}`;
    return { name, workMs: this.random.between(SHORTEST_WORK_MS, LONGEST_WORK_MS) };
  }

  private anyFate(): Fate {
    const chance = this.random.next();
    if (chance < FAILS_ALWAYS_SHARE) return 'fails-always';
    return chance < FAILS_ALWAYS_SHARE + FAILS_ONCE_SHARE ? 'fails-once' : 'good';
  }
}

export function fateOf(itemName: string): Fate {
  return itemName.slice(0, itemName.indexOf('/')) as Fate;
}

/** How often an item is run when nothing goes wrong. Undefined for poison: how many crashes it may cause is the engine's to say. */
export function runsWithoutTrouble(fate: Fate): number | undefined {
  switch (fate) {
    case 'good':
      return 1;
    case 'fails-once':
      return 2;
    case 'fails-always':
      return MOST_ATTEMPTS;
    case 'poison':
      return undefined;
    default:
      throw fate satisfies never;
  }
}

/** Whether the item can only end as a dead letter. */
export function isDoomed(itemName: string): boolean {
  const fate = fateOf(itemName);
  return fate === 'fails-always' || fate === 'poison';
}
