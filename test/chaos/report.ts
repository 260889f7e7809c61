import { brokenPromises, type ScenarioResult } from './scenario-result.js';

type Column = readonly [title: string, cell: (result: ScenarioResult) => string | number];

const COLUMNS: readonly Column[] = [
  ['scenario', ({ name }) => name],
  ['items', ({ submitted }) => submitted],
  ['completed', ({ completed }) => completed],
  ['dead', ({ dead }) => dead],
  ['lost', ({ lost }) => lost.length],
  ['lost by Redis', ({ flush, lostByRedis }) => (flush === 'always' ? '–' : lostByRedis.length)],
  ['run twice', ({ runTwice }) => runTwice],
  ['completed twice', ({ completedTwice }) => completedTwice],
  ['submitted twice', ({ runTwiceSubmittedTwice }) => runTwiceSubmittedTwice],
  ['troubles', troubleCount],
  ['rescue s', ({ longestRescueMs }) => (longestRescueMs === undefined ? '–' : seconds(longestRescueMs))],
  ['time s', ({ durationMs }) => seconds(durationMs)],
  ['', (result) => (brokenPromises(result).length === 0 ? 'held' : 'BROKEN')],
];

/** The results as a table, and a line for each promise that was broken. */
export function renderReport(results: readonly ScenarioResult[]): string {
  const rows = [
    COLUMNS.map(([title]) => title),
    ...results.map((result) => COLUMNS.map(([, cell]) => String(cell(result)))),
  ];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  const broken = results.flatMap((result) => brokenPromises(result).map((text) => `${result.name}: ${text}`));
  return [...rows.map(line), ...(broken.length === 0 ? [] : ['', ...broken])].join('\n');
}

/** Kills, stops, deaths of workers, kills of Redis and trouble with connections, in short. */
function troubleCount(result: ScenarioResult): string {
  const { workerKills, workerStops, workerDeaths, redisKills, connectionTroubles } = result;
  const counts: [number, string][] = [
    [workerKills, 'killed'],
    [workerStops, 'stopped'],
    [workerDeaths, 'poisoned'],
    [redisKills, 'Redis'],
    [connectionTroubles, 'connections'],
  ];
  return counts.flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${what}`])).join(', ');
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1);
}
