// npm run bench:core: the in-process core beside its peers.
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { coreMeasurements } from './core/measurements.mjs';
import { coreTargets } from './core/core-targets.mjs';
import { interleave } from './harness/interleave.mjs';
import { machine } from './harness/machine.mjs';
import { readBenchOptions } from './harness/options.mjs';
import { median } from './harness/statistics.mjs';
import { rateText, renderTable } from './harness/table.mjs';
import { checkTargets, renderTargets } from './harness/targets.mjs';

const DEFAULT_RUNS = 7;
const SHAPES = [
  'flood · async',
  'flood · sync',
  'steady · async',
  'steady · sync',
  'ring · async',
  'drain · async',
];

if (!existsSync('dist/index.js')) throw new Error('dist/ is missing: npm run build');
const options = readBenchOptions('bench:core', DEFAULT_RUNS);
const measurements = coreMeasurements(options).filter(({ name }) => name.includes(options.only ?? ''));
const results = await interleave(measurements, options.runs, (line) => process.stderr.write(`${line}\n`));

const values = (name, field) =>
  (results.get(name) ?? []).map((result) => result[field]).filter((value) => value !== undefined);
const medianOf = (name, field) => median(values(name, field));
printTables();
const checked = checkTargets(coreTargets(values, options.quick ? 10_000 : 1_000_000), median, (list) =>
  Math.max(...list),
).filter(({ value }) => !Number.isNaN(value));
// Ten thousand items measured once say nothing about speed.
if (!options.quick) print(`\n${renderTargets(checked).join('\n')}`);
if (options.json !== undefined) await writeFile(options.json, JSON.stringify(report(), null, 2));
if (options.check && !options.quick && checked.some(({ reached }) => !reached)) process.exitCode = 1;

function printTables() {
  const { node, processor, cores } = machine();
  print(`Node ${node}, ${cores} × ${processor}; medians of ${options.runs} runs, 10 at a time\n`);
  for (const shape of SHAPES) printShape(shape);
  printRows('memory', ['bytes kept a waiting item'], (name) => [medianOf(name, 'bytesPerItem').toFixed(1)]);
  printRows('paced', ['wait p50 µs', 'p99 µs'], (name) => [
    medianOf(name, 'p50Us').toFixed(1),
    medianOf(name, 'p99Us').toFixed(0),
  ]);
}

/** The rates of one shape, and how many times ours each peer's is. */
function printShape(shape) {
  const reference = medianOf(`${shape} · ours, offer`, 'itemsPerSecond');
  printRows(shape, ['items/s', 'ours, offer / this', 'longest stall ms', 'without collections'], (name) => {
    const rate = medianOf(name, 'itemsPerSecond');
    return [
      rateText(rate),
      (reference / rate).toFixed(2),
      medianOf(name, 'stallMs').toFixed(0),
      medianOf(name, 'stallWithoutCollectionMs').toFixed(0),
    ];
  });
}

function printRows(prefix, titles, cells) {
  const names = [...results.keys()].filter((name) => name.startsWith(`${prefix} · `));
  if (names.length === 0) return;
  const rows = names.map((name) => [name.slice(prefix.length + ' · '.length), ...cells(name)]);
  print(`${renderTable([prefix, ...titles], rows)}\n`);
}

function report() {
  return {
    machine: machine(),
    runs: options.runs,
    measurements: Object.fromEntries(results),
    targets: checked.map(({ name, bound, figure, goal, value, bestValue, reached }) => ({
      name,
      bound,
      figure,
      goal,
      value,
      bestValue,
      reached,
    })),
  };
}

function print(text) {
  process.stdout.write(`${text}\n`);
}
