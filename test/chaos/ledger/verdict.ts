import { fateOf, isDoomed, runsWithoutTrouble } from '../chaos-item.js';
import type { LedgerEntry } from './entries.js';
import { longestRescueMs } from './rescue.js';

/** What a run comes to, by its ledger alone. */
export interface Verdict {
  /** Items whose submission resolved. */
  readonly submitted: number;
  /** Those of them that a handler has run to its end. */
  readonly completed: number;
  /** Those that are dead letters. */
  readonly dead: number;
  /** Names of those that are neither. */
  readonly lost: readonly string[];
  /** The same, but stored so shortly before Redis lost what it had not yet written to the disk that this is known and allowed. */
  readonly lostByRedis: readonly string[];
  /** Names of dead letters that can succeed: trouble around an item must never make it one. */
  readonly wronglyDead: readonly string[];
  /** Items that were started more often than their fate asks for, but for those that were submitted twice. */
  readonly runTwice: number;
  /** Items whose handler ran to a good end more than once, but for those that were submitted twice. */
  readonly completedTwice: number;
  /** Items run more often than asked for whose submission had failed: their producer submitted them again, as it has to. */
  readonly runTwiceSubmittedTwice: number;
  readonly workerKills: number;
  readonly workerStops: number;
  /** Processes that an item killed. */
  readonly workerDeaths: number;
  readonly redisKills: number;
  readonly connectionTroubles: number;
  /** Longest time from the kill or stop of a worker until an item that it held was started elsewhere. Undefined: it held none. */
  readonly longestRescueMs: number | undefined;
}

interface ItemStory {
  submittedAtMs: number | undefined;
  submissionFailed: boolean;
  starts: number;
  ends: number;
  isDead: boolean;
}

/**
 * @param redisMayLoseMs how much of what Redis has acknowledged it may lose at a kill; 0: nothing
 */
export function judge(entries: readonly LedgerEntry[], redisMayLoseMs: number): Verdict {
  const stories = readStories(entries);
  const submitted = [...stories].filter(([, story]) => story.submittedAtMs !== undefined);
  const gone = submitted.filter(([, story]) => story.ends === 0 && !story.isDead);
  const excused = excusedTimes(entries, redisMayLoseMs);
  const isExcused = ([, { submittedAtMs = 0 }]: [string, ItemStory]): boolean =>
    excused.some(({ fromMs, toMs }) => submittedAtMs > fromMs && submittedAtMs <= toMs);
  const again = [...stories].filter(([name, story]) => ranAgain(name, story));
  return {
    submitted: submitted.length,
    completed: submitted.filter(([, story]) => story.ends > 0).length,
    dead: submitted.filter(([, story]) => story.isDead).length,
    lost: names(gone.filter((item) => !isExcused(item))),
    lostByRedis: names(gone.filter(isExcused)),
    wronglyDead: names([...stories].filter(([name, { isDead }]) => isDead && !isDoomed(name))),
    runTwice: again.filter(([, story]) => !story.submissionFailed).length,
    completedTwice: again.filter(([, story]) => !story.submissionFailed && story.ends > 1).length,
    runTwiceSubmittedTwice: again.filter(([, story]) => story.submissionFailed).length,
    ...countTroubles(entries),
    longestRescueMs: longestRescueMs(entries),
  };
}

function readStories(entries: readonly LedgerEntry[]): Map<string, ItemStory> {
  const stories = new Map<string, ItemStory>();
  const story = (item: string): ItemStory => {
    let known = stories.get(item);
    if (!known) {
      known = { submittedAtMs: undefined, submissionFailed: false, starts: 0, ends: 0, isDead: false };
      stories.set(item, known);
    }
    return known;
  };
  for (const entry of entries) {
    switch (entry.kind) {
      case 'submitted':
        for (const item of entry.items) story(item).submittedAtMs = entry.atMs;
        break;
      case 'submission-failed':
        for (const item of entry.items) story(item).submissionFailed = true;
        break;
      case 'started':
        story(entry.item).starts++;
        break;
      case 'done':
        story(entry.item).ends++;
        break;
      case 'dead':
        story(entry.item).isDead = true;
        break;
      case 'failed':
      case 'trouble':
        break;
      default:
        throw entry satisfies never;
    }
  }
  return stories;
}

function ranAgain(name: string, { starts }: ItemStory): boolean {
  const wanted = runsWithoutTrouble(fateOf(name));
  return wanted !== undefined && starts > wanted;
}

type TroubleCounts = Pick<
  Verdict,
  'workerKills' | 'workerStops' | 'workerDeaths' | 'redisKills' | 'connectionTroubles'
>;

function countTroubles(entries: readonly LedgerEntry[]): TroubleCounts {
  const counts = { workerKills: 0, workerStops: 0, workerDeaths: 0, redisKills: 0, connectionTroubles: 0 };
  for (const entry of entries) {
    if (entry.kind !== 'trouble') continue;
    switch (entry.trouble) {
      case 'worker-killed':
        counts.workerKills++;
        break;
      case 'worker-stopped':
        counts.workerStops++;
        break;
      case 'worker-died':
        counts.workerDeaths++;
        break;
      case 'redis-killed':
      case 'power-cut':
        counts.redisKills++;
        break;
      case 'connections-cut':
      case 'connections-delayed':
      case 'write-halved':
        counts.connectionTroubles++;
        break;
      case 'worker-woken':
      case 'redis-starts':
        break;
      default:
        entry.trouble satisfies never;
    }
  }
  return counts;
}

interface TimeSpan {
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * When an item may have been submitted that a killed Redis has lost: shortly before; or after the kill was written down and
 * before it came, or before the producer came to write its line.
 */
function excusedTimes(entries: readonly LedgerEntry[], redisMayLoseMs: number): TimeSpan[] {
  if (redisMayLoseMs === 0) return [];
  const times = (...troubles: string[]): number[] =>
    entries.flatMap((entry) =>
      entry.kind === 'trouble' && troubles.includes(entry.trouble) ? [entry.atMs] : [],
    );
  const starts = times('redis-starts');
  return times('redis-killed', 'power-cut').map((killedAtMs) => ({
    fromMs: killedAtMs - redisMayLoseMs,
    toMs: starts.find((atMs) => atMs >= killedAtMs) ?? killedAtMs,
  }));
}

function names(items: readonly [string, ItemStory][]): string[] {
  return items.map(([name]) => name);
}
