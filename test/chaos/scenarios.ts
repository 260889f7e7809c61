import { SeededRandom } from './seeded-random.js';
import type { Flush } from './servers/own-redis.js';
import { planTroubles, shuffled, type PlannedTrouble } from './trouble.js';

/** One run of the suite: processes at work, and what goes wrong around them. */
export interface Scenario {
  readonly name: string;
  /** How the Redis of the run flushes. Only with `always` it loses nothing that it has acknowledged. */
  readonly flush: Flush;
  readonly troubles: readonly PlannedTrouble[];
  /** Whether the short form has it: not what shows little beside the others. */
  readonly isInShortForm: boolean;
}

/** A kill leaves what Redis has written with the operating system; only while that is slow, something is lost. */
const KILL_THAT_LOSES_LITTLE = 'redis killed, everysec';

/**
 * All scenarios, the same for the same seed.
 *
 * @param kills how often the first one kills a worker; the others have as much trouble as goes with it
 */
export function allScenarios(kills: number, seed: number): Scenario[] {
  const some = (share: number): number => Math.max(1, Math.round(kills * share));
  const scenario = (name: string, flush: Flush, counts: Parameters<typeof shuffled>[0]): Scenario => {
    const random = new SeededRandom(seed).fork(name);
    const troubles = planTroubles(shuffled(counts, random), random);
    return { name, flush, troubles, isInShortForm: name !== KILL_THAT_LOSES_LITTLE };
  };
  const connections = {
    'cut-connections': some(0.2),
    'halve-write': some(0.2),
    'delay-connections': some(0.1),
  };
  return [
    scenario('workers killed', 'always', { 'kill-worker': kills }),
    scenario('redis killed', 'always', { 'kill-redis': some(0.2) }),
    scenario('connections', 'always', connections),
    // What the rescue of items takes shows where one worker at a time has gone.
    scenario('one at a time', 'always', { 'stop-worker': some(0.1), 'kill-worker-and-wait': some(0.1) }),
    scenario('poison', 'always', { 'submit-poison': some(0.1) }),
    scenario('mixed', 'always', {
      ...connections,
      'kill-worker': some(0.2),
      'kill-redis': some(0.1),
      'stop-worker': some(0.05),
      'submit-poison': some(0.05),
    }),
    scenario(KILL_THAT_LOSES_LITTLE, 'everysec', { 'kill-redis': some(0.2) }),
    scenario('power cut, everysec', 'everysec', { 'cut-power': some(0.2) }),
  ];
}
