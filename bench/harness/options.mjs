import { parseArgs } from 'node:util';

/**
 * The options that every benchmark has.
 *
 * @param {string} name the command, as in `bench:core`
 * @returns {{ json?: string, check: boolean, quick: boolean, runs: number, only?: string }}
 */
export function readBenchOptions(name, defaultRuns) {
  const { values } = parseArgs({
    options: {
      json: { type: 'string' },
      check: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      runs: { type: 'string' },
      only: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`npm run ${name} -- [options]

  --json FILE  write every measurement, the medians and the ratios to FILE
  --check      end with exit code 1 and a line for each target that is missed
  --quick      every measurement once and small: shows that the benchmark works, not how fast anything is
  --runs N     measurements of each kind, default ${defaultRuns}
  --only TEXT  only measurements whose name has TEXT in it
`);
    process.exit(0);
  }
  const runs = values.runs === undefined ? defaultRuns : Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1)
    throw new Error(`--runs: expected a whole number of 1 or more, got ${values.runs}`);
  return {
    json: values.json,
    check: values.check,
    quick: values.quick,
    runs: values.quick ? 1 : runs,
    only: values.only,
  };
}
