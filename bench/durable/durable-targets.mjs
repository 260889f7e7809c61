// The figures to reach, in ratios to a peer measured in the same rounds.
import { CLEAN, FAILING, MEMORY, pacedTable, SINGLES } from './tables.mjs';

/**
 * @param {ReturnType<import('./rounds.mjs').roundsOf>} rounds
 * @returns {import('../harness/targets.mjs').Target[]} those that were measured
 */
export function durableTargets(rounds) {
  const endToEnd = (peer) => rounds.ratios(ours(CLEAN), 'itemsPerSecond', `${CLEAN} · ${peer}`);
  const paced = (perSecond, field) => {
    const table = pacedTable(perSecond);
    return rounds.ratios(ours(table), field, `${table} · BullMQ`);
  };
  const failing = rounds.ratios(ours(FAILING), 'itemsPerSecond', ours(CLEAN));
  const singles = rounds.ratios(ours(SINGLES), 'itemsPerSecond', `${SINGLES} · BullMQ`);
  const memory = rounds.ratios(ours(MEMORY), 'bytesPerItem', `${MEMORY} · BullMQ`);
  return [
    atLeast('end to end / BullMQ', endToEnd('BullMQ'), 40),
    atLeast('end to end / BullMQ, chunked by hand', endToEnd('BullMQ, chunked by hand'), 0.8),
    atLeast('end to end / graphile-worker', endToEnd('graphile-worker'), 15),
    atLeast('end to end / pg-boss', endToEnd('pg-boss'), 25),
    atLeast('end to end / Redis Streams', endToEnd('Redis Streams'), 2),
    atLeast('end to end, 1 % fail once / clean', failing, 0.7),
    atLeast('awaited singles / queue.add of BullMQ', singles, 25),
    atMost('median wait at 200 a second / BullMQ', paced(200, 'p50Ms'), 1.2),
    atMost('p99 of the wait at 200 a second / BullMQ', paced(200, 'p99Ms'), 1.5),
    atMost('p99 of the wait at 5,000 a second / BullMQ', paced(5_000, 'p99Ms'), 0.2),
    atMost('Redis memory a waiting item / BullMQ', memory, 0.2, 0.17),
  ].filter(({ ratios }) => ratios.length > 0);
}

function ours(table) {
  return `${table} · ours`;
}

function atLeast(name, ratios, figure, goal = figure) {
  return { name, bound: 'at least', figure, goal, ratios, value: (pick) => pick(ratios) };
}

/** The best of these is the smallest. */
function atMost(name, ratios, figure, goal = figure) {
  const value = (pick) => -pick(ratios.map((ratio) => -ratio));
  return { name, bound: 'at most', figure, goal, ratios, value };
}
