// What is measured: every contender in every shape that it can take.
import { CLEAN, FAILING, KILL, MEMORY, PACES, pacedTable, SINGLES, WITHOUT_LOG } from './tables.mjs';

const PROGRAM = new URL('./measure.mjs', import.meta.url).pathname;
const KILL_PROGRAM = new URL('./kill.mjs', import.meta.url).pathname;

/** Enough for some seconds each: their rates lie a hundred times apart. */
const ITEMS = {
  ours: 1_000_000,
  'BullMQ, chunked by hand': 1_000_000,
  'Redis Streams': 200_000,
  'graphile-worker': 20_000,
  'pg-boss': 20_000,
  BullMQ: 15_000,
};
const ON_REDIS = ['ours', 'BullMQ, chunked by hand', 'Redis Streams', 'BullMQ'];
const ON_POSTGRES = ['graphile-worker', 'pg-boss'];
const FAIL_EVERY = 100;
const SINGLE_ITEMS = { ours: 300_000, BullMQ: 10_000 };
const PACED_MS = 5_000;
const MEMORY_ITEMS = 50_000;
const KILL_ITEMS = 100_000;
const QUICK_SHARE = 0.01;

/**
 * @param {{ quick: boolean, urls: import('./servers.mjs').ServerUrls }} input without the address of a Postgres, without
 *   the peers that need one
 * @returns {{ name: string, program: string, flags: string[], input: object }[]}
 */
export function durableMeasurements({ quick, urls }) {
  const scaled = (items) => (quick ? Math.ceil(items * QUICK_SHARE) : items);
  const measure = (table, contender, input) => ({
    name: `${table} · ${contender}`,
    program: PROGRAM,
    flags: ['--expose-gc'],
    input: { contender, ...input, items: scaled(input.items) },
  });
  const endToEnd = (table, contender, url, failEvery) =>
    measure(table, contender, { shape: 'end to end', url, items: ITEMS[contender], failEvery });

  return [
    ...ON_REDIS.map((contender) => endToEnd(CLEAN, contender, urls.redis)),
    ...(urls.postgres === undefined
      ? []
      : ON_POSTGRES.map((contender) => endToEnd(CLEAN, contender, urls.postgres))),
    ...ON_REDIS.map((contender) => endToEnd(WITHOUT_LOG, contender, urls.redisWithoutLog)),
    ...['ours', 'BullMQ'].map((contender) => endToEnd(FAILING, contender, urls.redis, FAIL_EVERY)),
    ...Object.entries(SINGLE_ITEMS).map(([contender, items]) =>
      measure(SINGLES, contender, { shape: 'awaited singles', url: urls.redis, items }),
    ),
    ...PACES.flatMap((perSecond) =>
      ['ours', 'BullMQ'].map((contender) =>
        measure(pacedTable(perSecond), contender, {
          shape: 'paced',
          url: urls.redis,
          items: (perSecond * PACED_MS) / 1_000,
          perSecond,
        }),
      ),
    ),
    ...ON_REDIS.map((contender) =>
      measure(MEMORY, contender, { shape: 'memory', url: urls.redisWithoutLog, items: MEMORY_ITEMS }),
    ),
  ];
}

/** Each waits for the leases of a killed process to run out, so it is made less often. */
export function killMeasurements({ urls }) {
  return [{ name: `${KILL} · ours`, program: KILL_PROGRAM, input: { url: urls.redis, items: KILL_ITEMS } }];
}
