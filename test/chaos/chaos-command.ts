/** What `npm run test:chaos` does: runs the scenarios, prints the counts, and sets the exit code. */
import { writeFile } from 'node:fs/promises';
import { readChaosOptions, type ChaosOptions } from './chaos-options.js';
import { renderReport } from './report.js';
import { brokenPromises, type ScenarioResult } from './scenario-result.js';
import { runScenario, type RunSettings } from './scenario-run.js';
import { allScenarios, type Scenario } from './scenarios.js';

type Form = Pick<RunSettings, 'leaseMs' | 'quietMs' | 'mostOpenItems' | 'workers'> & {
  /** Scenarios that run at a time. */
  readonly atOnce: number;
};

const LONG_FORM: Form = { leaseMs: undefined, quietMs: 60_000, mostOpenItems: 6_000, workers: 4, atOnce: 1 };
const QUICK_FORM: Form = { leaseMs: 1_000, quietMs: 20_000, mostOpenItems: 1_000, workers: 2, atOnce: 3 };

const ENDING_SIGNALS: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** What is put into trouble. */
export interface Subject {
  readonly program: URL;
  readonly isForgetful: boolean;
}

/** @param args what stands behind the command; see `readChaosOptions` */
export async function runChaosCommand(args: readonly string[], subject: Subject): Promise<void> {
  const options = readChaosOptions(args);
  if (!options) return;
  const interrupted = new AbortController();
  const interrupt = (signal: NodeJS.Signals): void =>
    interrupted.abort(new Error(`The suite was ended by ${signal}`));
  for (const signal of ENDING_SIGNALS) process.on(signal, interrupt);
  try {
    await runSuite(options, subject, interrupted.signal);
  } catch (error) {
    if (error !== interrupted.signal.reason) throw error;
    process.stderr.write(`${interrupted.signal.reason.message}\n`);
    process.exitCode = 1;
  }
}

async function runSuite(options: ChaosOptions, subject: Subject, interrupted: AbortSignal): Promise<void> {
  const { seed, kills, isQuick, only, json } = options;
  const form = isQuick ? QUICK_FORM : LONG_FORM;
  const scenarios = allScenarios(kills, seed).filter(
    ({ name, isInShortForm }) => name.includes(only) && (isInShortForm || !isQuick),
  );
  if (scenarios.length === 0) throw new Error(`No scenario has ${JSON.stringify(only)} in its name`);
  process.stdout.write(`Seed ${seed}, ${kills} kills${isQuick ? ', short form' : ''}\n\n`);
  const results = await runAll(scenarios, { ...form, ...subject, seed }, interrupted);
  process.stdout.write(`${renderReport(results)}\n`);
  if (json !== undefined)
    await writeFile(json, JSON.stringify({ seed, kills, isQuick, scenarios: results }, null, 2));
  if (results.some((result) => brokenPromises(result).length > 0)) process.exitCode = 1;
}

/** Some at a time; their results come in the order of the scenarios. */
async function runAll(
  scenarios: readonly Scenario[],
  form: Form & Subject & Pick<RunSettings, 'seed'>,
  interrupted: AbortSignal,
): Promise<ScenarioResult[]> {
  const results: ScenarioResult[] = [];
  const failed = new AbortController();
  const settings: RunSettings = {
    ...form,
    signal: AbortSignal.any([interrupted, failed.signal]),
    tell: (line) => process.stderr.write(`${line}\n`),
  };
  const rest = [...scenarios.entries()];
  const runRest = async (): Promise<void> => {
    for (let next = rest.shift(); next; next = rest.shift()) {
      const [place, scenario] = next;
      results[place] = await runScenario(scenario, settings);
    }
  };
  const lines = Array.from({ length: form.atOnce }, () =>
    runRest().catch((error: unknown) => {
      // What the others have begun is stopped, too, before this ends.
      failed.abort(error);
      throw error;
    }),
  );
  await Promise.allSettled(lines);
  await Promise.all(lines);
  return results;
}
