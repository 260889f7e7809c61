import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { interleave } from '../harness/interleave.mjs';
import { machine } from '../harness/machine.mjs';
import { median } from '../harness/statistics.mjs';
import { checkTargets, renderTargets } from '../harness/targets.mjs';
import { durableTargets } from './durable-targets.mjs';
import { durableMeasurements, killMeasurements } from './measurements.mjs';
import { roundsOf } from './rounds.mjs';
import { startServers } from './servers.mjs';
import { renderTables } from './tables.mjs';

const OUR_ENGINE = 'dist/bullmq.js';
const LEAST_CHECKED_RUNS = 7;
const MOST_KILL_RUNS = 3;

/** Measures, prints the tables, and holds them against the targets. */
export async function runDurable(options) {
  const hasOurs = existsSync(OUR_ENGINE);
  if (!hasOurs) log(`ours is skipped: ${OUR_ENGINE} is missing`);
  if (options.quick) log('graphile-worker, pg-boss and the kill are skipped: --quick');
  const isChecked = options.check && !options.quick;
  const runs = isChecked ? Math.max(options.runs, LEAST_CHECKED_RUNS) : options.runs;

  const results = await measureAll({ ...options, runs, hasOurs });
  const rounds = roundsOf(results);
  const { node, processor, cores } = machine();
  print(`Node ${node}, ${cores} × ${processor}; medians of ${runs} runs, items of 100 bytes\n`);
  print(renderTables(rounds).join('\n'));

  const checked = checkTargets(durableTargets(rounds), median, (list) => Math.max(...list));
  // A hundredth of the items measured once say nothing about speed.
  if (!options.quick && checked.length > 0) print(`\n${renderTargets(checked).join('\n')}`);
  if (options.json !== undefined) await writeFile(options.json, reportText({ runs, results, checked }));
  if (isChecked && (!hasOurs || checked.some(({ reached }) => !reached))) process.exitCode = 1;
}

async function measureAll({ quick, runs, only = '', hasOurs }) {
  const servers = await startServers({ withPostgres: !quick });
  const input = { quick, urls: servers.urls };
  const wanted = ({ name }) => name.includes(only) && (hasOurs || !name.endsWith(' · ours'));
  const kills = quick ? [] : killMeasurements(input).filter(wanted);
  try {
    const results = await interleave(durableMeasurements(input).filter(wanted), runs, log);
    if (kills.length === 0) return results;
    return new Map([...results, ...(await interleave(kills, Math.min(runs, MOST_KILL_RUNS), log))]);
  } finally {
    await servers.stop();
  }
}

function reportText({ runs, results, checked }) {
  const targets = checked.map(({ name, bound, figure, goal, value, bestValue, reached }) => ({
    name,
    bound,
    figure,
    goal,
    value,
    bestValue,
    reached,
  }));
  return JSON.stringify(
    { machine: machine(), runs, measurements: Object.fromEntries(results), targets },
    null,
    2,
  );
}

function print(text) {
  process.stdout.write(`${text}\n`);
}

function log(line) {
  process.stderr.write(`${line}\n`);
}
