import { fateOf } from '../chaos-item.js';
import type { LedgerEntry, RunEntry, TroubleEntry } from './entries.js';

/** The end, or a stop, of a worker. */
type Strike = TroubleEntry & { readonly worker: string };

/**
 * Longest time from a worker's end, or stop, until an item that it held was started elsewhere. Poison is left out: an engine
 * may well hold back what has just killed a process.
 */
export function longestRescueMs(entries: readonly LedgerEntry[]): number | undefined {
  const runs = entries.filter(isRun);
  const runsOfWorkers = groupBy(runs, ({ worker }) => worker);
  const runsOfItems = groupBy(runs, ({ item }) => item);
  let longest: number | undefined;
  for (const strike of entries.filter(isStrike)) {
    for (const item of heldAt(strike, runsOfWorkers.get(strike.worker) ?? [])) {
      const ms = rescueMs(strike, runsOfItems.get(item) ?? []);
      if (ms !== undefined) longest = Math.max(longest ?? 0, ms);
    }
  }
  return longest;
}

function heldAt(strike: Strike, runsOfWorker: readonly RunEntry[]): Set<string> {
  const held = new Set<string>();
  for (const { kind, item, atMs } of runsOfWorker) {
    if (atMs > strike.atMs) break;
    if (kind === 'started' && fateOf(item) !== 'poison') held.add(item);
    else held.delete(item);
  }
  return held;
}

/** Undefined when nobody has started it since. */
function rescueMs(strike: Strike, runsOfItem: readonly RunEntry[]): number | undefined {
  let startedAtMs: number | undefined;
  for (const { kind, worker, atMs } of runsOfItem) {
    if (kind !== 'started' || worker === strike.worker || atMs < strike.atMs) continue;
    startedAtMs = Math.min(startedAtMs ?? atMs, atMs);
  }
  return startedAtMs === undefined ? undefined : startedAtMs - strike.atMs;
}

function isRun(entry: LedgerEntry): entry is RunEntry {
  return entry.kind === 'started' || entry.kind === 'done' || entry.kind === 'failed';
}

function isStrike(entry: LedgerEntry): entry is Strike {
  if (entry.kind !== 'trouble' || entry.worker === undefined) return false;
  return entry.trouble !== 'worker-woken';
}

function groupBy(runs: readonly RunEntry[], key: (run: RunEntry) => string): Map<string, RunEntry[]> {
  const groups = new Map<string, RunEntry[]>();
  for (const run of runs) {
    const group = groups.get(key(run));
    if (group) group.push(run);
    else groups.set(key(run), [run]);
  }
  return groups;
}
