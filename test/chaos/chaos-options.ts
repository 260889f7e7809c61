import { parseArgs } from 'node:util';

export interface ChaosOptions {
  /** File for the results. */
  readonly json: string | undefined;
  readonly seed: number;
  readonly kills: number;
  readonly isQuick: boolean;
  /** Only scenarios whose name has this in it. */
  readonly only: string;
}

const USAGE = `npm run test:chaos -- [options]

  --json FILE  write the results to FILE
  --seed N     the run that had this seed again; default: one of chance, which is printed
  --kills N    how often workers are killed; the other troubles go with it. Default 100, with --quick 10
  --quick      the short form, of under a minute: short leases, several scenarios at a time
  --only TEXT  only scenarios whose name has TEXT in it

Ends with exit code 1 and the names of the items when one is lost.
`;
const LONG_KILLS = 100;
const QUICK_KILLS = 10;
const SEEDS = 1_000_000;

/** @returns undefined when the usage was asked for, and printed */
export function readChaosOptions(args: readonly string[]): ChaosOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'string' },
      seed: { type: 'string' },
      kills: { type: 'string' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return undefined;
  }
  return {
    json: values.json,
    seed: wholeNumber('--seed', values.seed, 0) ?? Math.floor(Math.random() * SEEDS),
    kills: wholeNumber('--kills', values.kills, 1) ?? (values.quick ? QUICK_KILLS : LONG_KILLS),
    isQuick: values.quick,
    only: values.only,
  };
}

function wholeNumber(option: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (text !== '' && Number.isInteger(number) && number >= least) return number;
  throw new RangeError(`${option}: expected a whole number of ${least} or more, got ${JSON.stringify(text)}`);
}
