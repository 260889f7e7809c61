import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import {
  asksForHelp,
  DEFAULTS,
  InvalidConfigError,
  readConfig,
  USAGE,
  USUAL_PORT,
} from '../../../src/service/config/service-config.js';
import { startError } from '../../../src/service/start-error.js';

function problems(argv: readonly string[], env: Record<string, string> = {}): readonly string[] {
  try {
    readConfig(argv, env);
  } catch (error) {
    if (error instanceof InvalidConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('readConfig', () => {
  it('has a default for everything, also for what is set to nothing', () => {
    const defaults = {
      port: undefined,
      databaseUrl: undefined,
      redisUrl: undefined,
      quotesCron: '0 6 * * *',
      maxConcurrency: 8,
      scalingThreshold: 200,
      logLevel: 'info',
      logFile: undefined,
      once: false,
      jsonFile: undefined,
    };
    expect(readConfig([], {})).toEqual(defaults);
    const names = ['PORT', 'DATABASE_URL', 'REDIS_URL', 'QUOTES_CRON', 'MAX_CONCURRENCY'];
    const empty = Object.fromEntries(
      [...names, 'SCALING_THRESHOLD', 'LOG_LEVEL', 'LOG_FILE'].map((name) => [name, '']),
    );
    expect(readConfig([], empty)).toEqual(defaults);
  });

  it('takes what it is given', () => {
    const env = {
      PORT: '0',
      DATABASE_URL: 'postgresql://host/db',
      REDIS_URL: 'rediss://host',
      QUOTES_CRON: '* * * * *',
      MAX_CONCURRENCY: '1',
      SCALING_THRESHOLD: '5',
      LOG_LEVEL: 'silent',
      LOG_FILE: 'a.log',
    };
    expect(readConfig(['--once', '--json', 'a.json'], env)).toEqual({
      port: 0,
      databaseUrl: 'postgresql://host/db',
      redisUrl: 'rediss://host',
      quotesCron: '* * * * *',
      maxConcurrency: 1,
      scalingThreshold: 5,
      logLevel: 'silent',
      logFile: 'a.log',
      once: true,
      jsonFile: 'a.json',
    });
  });

  it.each([
    ['PORT', '-1', 'a whole number from 0 to 65535, got "-1"'],
    ['PORT', ' ', 'a whole number from 0 to 65535, got " "'],
    ['PORT', '3000.5', 'a whole number from 0 to 65535, got "3000.5"'],
    ['PORT', '70000', 'a whole number from 0 to 65535, got "70000"'],
    ['MAX_CONCURRENCY', '0', 'a whole number from 1 to 1000, got "0"'],
    ['SCALING_THRESHOLD', 'many', 'a whole number from 1 to 1000000, got "many"'],
    ['QUOTES_CRON', 'every day', 'a cron expression, got "every day" (Unknown alias: eve)'],
    ['QUOTES_CRON', '0 61 * * *', 'a cron expression, got "0 61 * * *" (Field value (61) is out of range)'],
    [
      'QUOTES_CRON',
      '0 0 31 2 *',
      'a cron expression, got "0 0 31 2 *" (Something went wrong. No execution date was found in the next 8 years.)',
    ],
    ['LOG_LEVEL', 'loud', 'one of fatal, error, warn, info, debug, trace, silent, got "loud"'],
    [
      'DATABASE_URL',
      'mysql://ada:s3cret@host',
      'a URL that begins with postgres:// or postgresql://, got something else',
    ],
    ['REDIS_URL', '127.0.0.1:6379', 'a URL that begins with redis:// or rediss://, got something else'],
  ])('refuses %s=%s', (name, value, expected) => {
    expect(problems([], { [name]: value })).toEqual([`${name}: expected ${expected}`]);
  });

  it('names every problem at once, and how it is used', () => {
    const named = problems(['--twice'], { PORT: 'x', LOG_LEVEL: 'loud' });
    expect(named).toEqual([
      expect.stringContaining("Unknown option '--twice'"),
      expect.stringMatching(/^PORT: /),
      expect.stringMatching(/^LOG_LEVEL: /),
    ]);
    expect(named[0]).toContain(USAGE);
    expect(problems(['file.csv'])[0]).toContain(USAGE);
    expect(problems(['--json'])[0]).toContain(USAGE);
  });
});

describe('.env.example', () => {
  const lines = readFileSync(new URL('../../../.env.example', import.meta.url), 'utf8').split('\n');
  const assigned = (pattern: RegExp) =>
    Object.fromEntries(
      lines.flatMap((line) => {
        const found = pattern.exec(line);
        return found === null ? [] : [[found[1], found[2]]];
      }),
    );

  it('has the defaults', () => {
    expect(assigned(/^([A-Z_]+)=(.*)$/)).toEqual(DEFAULTS);
    expect(lines).toContain(`# Port for HTTP. Without it: ${USUAL_PORT} if it is free, else any.`);
  });

  it('has values that the service takes', () => {
    expect(problems([], assigned(/^(?:# )?([A-Z_]+)=(.*)$/))).toEqual([]);
  });

  it('has every variable', () => {
    const names = Object.keys(assigned(/^(?:# )?([A-Z_]+)=(.*)$/));
    const others = ['PORT', 'DATABASE_URL', 'REDIS_URL', 'LOG_FILE'];
    expect(names.toSorted()).toEqual([...Object.keys(DEFAULTS), ...others].toSorted());
  });
});

describe('asksForHelp', () => {
  it('finds the option among others', () => {
    expect([['--once', '--help'], ['-h'], ['--json', 'x']].map(asksForHelp)).toEqual([true, true, false]);
  });
});

describe('startError', () => {
  it('tells an error and all its causes, without their stacks', () => {
    const refused = ['::1', '127.0.0.1'].map((address) => ({ code: 'ECONNREFUSED', address, port: 5432 }));
    const both = new AggregateError(refused);
    const error = new Error('no database', { cause: both });
    expect(startError(error)).toBe(
      'no database\n  because: Nothing listens at ::1:5432, Nothing listens at 127.0.0.1:5432',
    );
  });

  it.each([
    [{ status: 'error', message: 'Internal server error' }, 'Internal server error'],
    ['text', 'text'],
    [undefined, 'undefined'],
    [null, 'null'],
  ])('tells what is no error as well: %p', (thrown, text) => {
    expect(startError(thrown)).toBe(text);
  });
});
