import type { SeededRandom } from './seeded-random.js';
import type { Direction } from './servers/trouble-proxy.js';

/** One thing that is done to the processes, their Redis or their connections. Times in milliseconds. */
export type Trouble =
  /** Kills a worker process that holds items. */
  | { readonly kind: 'kill-worker' }
  /** The same, and nothing else is done until its items have started elsewhere. */
  | { readonly kind: 'kill-worker-and-wait' }
  /** Stops a worker process that holds items until they are run elsewhere, and lets it go on then. */
  | { readonly kind: 'stop-worker' }
  | { readonly kind: 'submit-poison' }
  | { readonly kind: 'kill-redis'; readonly downMs: number }
  /** Kills Redis, and takes from its file what was not flushed to the disk. */
  | { readonly kind: 'cut-power'; readonly downMs: number }
  | { readonly kind: 'cut-connections' }
  | { readonly kind: 'delay-connections'; readonly delayMs: number; readonly forMs: number }
  | { readonly kind: 'halve-write'; readonly direction: Direction };

/** A trouble, and how long after the one before it comes. */
export interface PlannedTrouble {
  readonly afterMs: number;
  readonly trouble: Trouble;
}

const SHORTEST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 800;
/** So that most items are too old to be lost by it. */
const POWER_PAUSE_MS = 3_000;
const SHORTEST_DOWN_MS = 100;
const LONGEST_DOWN_MS = 1_500;
const SHORTEST_DELAY_MS = 20;
const LONGEST_DELAY_MS = 400;
const SHORTEST_DELAYED_MS = 500;
const LONGEST_DELAYED_MS = 2_000;

/** As many troubles as kinds are given, in this order. */
export function planTroubles(kinds: readonly Trouble['kind'][], random: SeededRandom): PlannedTrouble[] {
  return kinds.map((kind) => ({
    afterMs:
      random.between(SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS) + (kind === 'cut-power' ? POWER_PAUSE_MS : 0),
    trouble: makeTrouble(kind, random),
  }));
}

/** The kinds as often as told, in an order of chance. */
export function shuffled(
  counts: Partial<Record<Trouble['kind'], number>>,
  random: SeededRandom,
): Trouble['kind'][] {
  const rest = Object.entries(counts).flatMap(([kind, count]) =>
    Array.from({ length: count }, () => kind as Trouble['kind']),
  );
  return Array.from({ length: rest.length }, () => {
    const [kind] = rest.splice(random.between(0, rest.length - 1), 1);
    return kind as Trouble['kind'];
  });
}

function makeTrouble(kind: Trouble['kind'], random: SeededRandom): Trouble {
  switch (kind) {
    case 'kill-worker':
    case 'kill-worker-and-wait':
    case 'stop-worker':
    case 'submit-poison':
    case 'cut-connections':
      return { kind };
    case 'kill-redis':
    case 'cut-power':
      return { kind, downMs: random.between(SHORTEST_DOWN_MS, LONGEST_DOWN_MS) };
    case 'delay-connections':
      return {
        kind,
        delayMs: random.between(SHORTEST_DELAY_MS, LONGEST_DELAY_MS),
        forMs: random.between(SHORTEST_DELAYED_MS, LONGEST_DELAYED_MS),
      };
    case 'halve-write':
      return { kind, direction: random.oneOf<Direction>(['to-server', 'to-client']) };
    default:
      throw kind satisfies never;
  }
}
