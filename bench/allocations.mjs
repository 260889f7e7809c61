// npm run bench:allocations: bytes allocated for an item, against recorded figures. Says nothing of a machine's speed, and
// so holds on every machine: what is allocated for each item is what the core's speed stands and falls with.
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { interleave } from './harness/interleave.mjs';
import { machine } from './harness/machine.mjs';
import { readBenchOptions } from './harness/options.mjs';
import { median } from './harness/statistics.mjs';
import { renderTable } from './harness/table.mjs';

const PROGRAM = new URL('./core/allocations-measure.mjs', import.meta.url).pathname;
const FLAGS = ['--expose-gc', '--max-semi-space-size=1024', '--min-semi-space-size=1024'];
const DEFAULT_RUNS = 3;

/** Bytes an item that may be allocated: the measured figure and a quarter, for what V8 versions differ in. */
const RECORDED = {
  'sync handler, offer': 12,
  'async handler, offer': 192,
  'async handler, one bulk call': 192,
  'batches of 100, offer': 27,
  'awaited call an item': 730,
  'retried once': 315,
};

if (!existsSync('dist/index.js')) throw new Error('dist/ is missing: npm run build');
const options = readBenchOptions('bench:allocations', DEFAULT_RUNS);
const items = options.quick ? 20_000 : 100_000;
const ways = Object.keys(RECORDED).filter((way) => way.includes(options.only ?? ''));
const measurements = ways.map((way) => ({
  name: way,
  program: PROGRAM,
  flags: FLAGS,
  input: { way, items },
}));
const results = await interleave(measurements, options.runs, () => undefined);

const rows = ways.map((way) => {
  const bytes = median(results.get(way).map(({ bytesPerItem }) => bytesPerItem));
  return { way, bytes, recorded: RECORDED[way], reached: bytes <= RECORDED[way] };
});
process.stdout.write(
  `${renderTable(
    ['bytes allocated an item', 'measured', 'at most', ''],
    rows.map(({ way, bytes, recorded, reached }) => [
      way,
      bytes.toFixed(1),
      String(recorded),
      reached ? 'held' : 'MISSED',
    ]),
  )}\n`,
);
if (options.json !== undefined) {
  await writeFile(
    options.json,
    JSON.stringify({ machine: machine(), rows, measurements: Object.fromEntries(results) }, null, 2),
  );
}
if (options.check && rows.some(({ reached }) => !reached)) process.exitCode = 1;
