import { parseArgs } from 'node:util';
import { sendAt } from 'cron';

/** What the service is told by its environment and its command line. */
export interface ServiceConfig {
  /** Port for HTTP. Undefined: `USUAL_PORT` if it is free, else any. */
  readonly port: number | undefined;
  /** A Postgres that is there. Undefined: the service starts one of its own, which ends with it. */
  readonly databaseUrl: string | undefined;
  /** A Redis for queued items, messages and checkpoints. Undefined: all stay within the process. */
  readonly redisUrl: string | undefined;
  /** When quotes are read, as a cron expression. */
  readonly quotesCron: string;
  readonly maxConcurrency: number;
  readonly scalingThreshold: number;
  readonly logLevel: string;
  /** File of the log. Undefined: one in a folder of the temporary folder. */
  readonly logFile: string | undefined;
  /** Whether to end after the run. */
  readonly once: boolean;
  /** Where to write the summary as JSON. */
  readonly jsonFile: string | undefined;
}

/** A variable or argument that the service can't start with. */
export class InvalidConfigError extends Error {
  override readonly name = 'InvalidConfigError';

  constructor(readonly problems: readonly string[]) {
    super(problems.join('\n'));
  }
}

/** The port for HTTP when none is asked for and nobody has it. */
export const USUAL_PORT = 3_000;

/** The variables that hold something when they are not set. */
export const DEFAULTS = {
  QUOTES_CRON: '0 6 * * *',
  MAX_CONCURRENCY: '8',
  SCALING_THRESHOLD: '200',
  LOG_LEVEL: 'info',
};

type SetVariables = Partial<
  Record<keyof typeof DEFAULTS | 'PORT' | 'DATABASE_URL' | 'REDIS_URL' | 'LOG_FILE', string>
>;

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

export const USAGE = `Usage: npm start -- [--once] [--json FILE]

  --once       end after the run in place of staying up as a server
  --json FILE  write the summary to FILE as JSON, too
  --help       print this and end

Environment, also from a file .env: see .env.example.`;

/** Whether the usage is asked for, whatever else is; nothing is then started or complained of. */
export function asksForHelp(argv: readonly string[]): boolean {
  return argv.includes('--help') || argv.includes('-h');
}

/**
 * @param environment a variable that is empty counts as not set
 * @throws InvalidConfigError that names every variable or argument that is wrong
 */
export function readConfig(argv: readonly string[], environment: NodeJS.ProcessEnv): ServiceConfig {
  const problems: string[] = [];
  const args = readArgs(argv, problems);
  const env = { ...DEFAULTS, ...setVariables(environment) };
  const config: ServiceConfig = {
    port: env.PORT === undefined ? undefined : wholeNumber('PORT', env.PORT, 0, 65_535, problems),
    databaseUrl: url('DATABASE_URL', env.DATABASE_URL, ['postgres:', 'postgresql:'], problems),
    redisUrl: url('REDIS_URL', env.REDIS_URL, ['redis:', 'rediss:'], problems),
    quotesCron: cron('QUOTES_CRON', env.QUOTES_CRON, problems),
    maxConcurrency: wholeNumber('MAX_CONCURRENCY', env.MAX_CONCURRENCY, 1, 1_000, problems),
    scalingThreshold: wholeNumber('SCALING_THRESHOLD', env.SCALING_THRESHOLD, 1, 1_000_000, problems),
    logLevel: oneOf('LOG_LEVEL', env.LOG_LEVEL, LOG_LEVELS, problems),
    logFile: env.LOG_FILE,
    once: args.once === true,
    jsonFile: args.json,
  };
  if (problems.length > 0) throw new InvalidConfigError(problems);
  return config;
}

function setVariables(environment: NodeJS.ProcessEnv): SetVariables {
  return Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
}

function readArgs(argv: readonly string[], problems: string[]): { once?: boolean; json?: string } {
  try {
    return parseArgs({ args: [...argv], options: { once: { type: 'boolean' }, json: { type: 'string' } } })
      .values;
  } catch (error) {
    problems.push(`${(error as Error).message}\n\n${USAGE}`);
    return {};
  }
}

function wholeNumber(name: string, value: string, least: number, most: number, problems: string[]): number {
  const number = Number(value);
  if (value.trim() === '' || !Number.isInteger(number) || number < least || number > most) {
    problems.push(`${name}: expected a whole number from ${least} to ${most}, got ${JSON.stringify(value)}`);
  }
  return number;
}

/** As the scheduler reads it; one that is well written but of no day that ever comes would fail it as well. */
function cron(name: string, value: string, problems: string[]): string {
  try {
    sendAt(value);
  } catch (error) {
    const [why] = (error as Error).message.split('\n');
    problems.push(`${name}: expected a cron expression, got ${JSON.stringify(value)} (${why})`);
  }
  return value;
}

function oneOf(name: string, value: string, known: readonly string[], problems: string[]): string {
  if (!known.includes(value)) {
    problems.push(`${name}: expected one of ${known.join(', ')}, got ${JSON.stringify(value)}`);
  }
  return value;
}

/** The value may hold a password, so no message repeats it. */
function url(
  name: string,
  value: string | undefined,
  protocols: readonly string[],
  problems: string[],
): string | undefined {
  if (value === undefined) return undefined;
  if (!URL.canParse(value) || !protocols.includes(new URL(value).protocol)) {
    problems.push(
      `${name}: expected a URL that begins with ${protocols.map((p) => `${p}//`).join(' or ')}, got something else`,
    );
  }
  return value;
}
