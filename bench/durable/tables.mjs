import { rateText, renderTable } from '../harness/table.mjs';

export const CLEAN = 'end to end, AOF';
export const WITHOUT_LOG = 'end to end, no AOF';
export const FAILING = '1 % fail once';
export const SINGLES = 'awaited singles';
export const PACES = [200, 5_000];
export const pacedTable = (perSecond) => `paced, ${perSecond} a second`;
export const MEMORY = 'memory';
export const KILL = 'kill -9';

const LOSSES = {
  [CLEAN]:
    'Redis with appendonly yes, appendfsync everysec: a crash of the server can lose about the last second of writes.\n' +
    'Postgres with its defaults: it loses nothing that was stored.',
  [WITHOUT_LOG]: 'Redis without an append-only file: a crash of the server loses everything in it.',
};

/**
 * @param {ReturnType<import('./rounds.mjs').roundsOf>} rounds
 * @returns {string[]} the tables that there are measurements for
 */
export function renderTables(rounds) {
  return [
    ...[CLEAN, WITHOUT_LOG].map((table) => renderRates(rounds, table, LOSSES[table])),
    renderFailing(rounds),
    renderRates(rounds, SINGLES, '1,000 callers, each of which stores an item and waits until it is stored.'),
    ...PACES.map((perSecond) => renderPaced(rounds, pacedTable(perSecond))),
    renderMemory(rounds),
    renderKill(rounds),
  ].filter((text) => text !== '');
}

function renderRates(rounds, table, words) {
  const cells = (name) => [
    rateText(rounds.median(name, 'itemsPerSecond')),
    timesText(rounds.ratio(name, 'itemsPerSecond', `${table} · BullMQ`)),
    timesText(rounds.ratio(`${table} · ours`, 'itemsPerSecond', name)),
    String(Math.max(...rounds.values(name, 'runTwice'))),
  ];
  return renderRows(rounds, table, ['items/s', 'this / BullMQ', 'ours / this', 'run twice'], cells, words);
}

function renderFailing(rounds) {
  const cells = (name) => [
    rateText(rounds.median(name, 'itemsPerSecond')),
    timesText(rounds.ratio(name, 'itemsPerSecond', name.replace(FAILING, CLEAN))),
  ];
  return renderRows(
    rounds,
    FAILING,
    ['items/s', 'of the clean rate'],
    cells,
    'Each is retried after 100 ms.',
  );
}

function renderPaced(rounds, table) {
  const cells = (name) => [
    ...['p50Ms', 'p99Ms'].flatMap((field) => [
      rounds.median(name, field).toFixed(2),
      timesText(rounds.ratio(name, field, `${table} · BullMQ`)),
    ]),
    rateText(rounds.median(name, 'itemsPerSecond')),
  ];
  const titles = ['p50 ms', 'this / BullMQ', 'p99 ms', 'this / BullMQ', 'handled a second'];
  const words =
    'From submission to handler. A contender that handles fewer a second than come is beyond its limit.';
  return renderRows(rounds, table, titles, cells, words);
}

function renderMemory(rounds) {
  const cells = (name) => [
    rounds.median(name, 'bytesPerItem').toFixed(0),
    timesText(rounds.ratio(name, 'bytesPerItem', `${MEMORY} · BullMQ`)),
  ];
  const words = 'What a waiting item of 100 bytes costs Redis.';
  return renderRows(rounds, MEMORY, ['bytes an item', 'this / BullMQ'], cells, words);
}

function renderKill(rounds) {
  const cells = (name) => [
    ...['runBefore', 'chunksInFlight', 'runTwice'].map((field) => rounds.median(name, field).toFixed(0)),
    String(Math.max(...rounds.values(name, 'runTwice'))),
    (rounds.median(name, 'doneAfterMs') / 1_000).toFixed(1),
  ];
  const titles = ['run before', 'chunks in flight', 'run twice', 'at most', 'all done after s'];
  return renderRows(
    rounds,
    KILL,
    titles,
    cells,
    'A process is killed in the middle of its work; another takes over.',
  );
}

function renderRows(rounds, table, titles, cells, words) {
  const names = rounds.names.filter((name) => name.startsWith(`${table} · `));
  if (names.length === 0) return '';
  const rows = names.map((name) => [name.slice(table.length + ' · '.length), ...cells(name)]);
  return `${renderTable([table, ...titles], rows)}\n${words}\n`;
}

function timesText(ratio) {
  return Number.isNaN(ratio) ? '–' : ratio.toFixed(2);
}
