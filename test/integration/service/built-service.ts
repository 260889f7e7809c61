import { afterAll, afterEach, beforeAll } from '@jest/globals';
import { readdir } from 'node:fs/promises';
import { Client } from 'pg';
import { runCommand } from '../../../src/service/embedded-postgres/run-command.js';
import {
  buildPackage,
  type BuiltPackage,
  type BuiltProgram,
  type ProgramEnd,
} from '../../support/built-package.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { until } from '../../support/until.js';

/** How long what a service has started may take to go. */
export const GONE_LIMIT_MS = 20_000;

/**
 * How long a service may take from its start to the work that a test waits for: a limit for one that is stuck, not for one
 * that is slow on a machine with other work to do.
 */
export const START_LIMIT_MS = 120_000;

/** The built service, for the tests of the file that calls this. */
export interface BuiltService {
  /** The folder that it is built in, and runs in. */
  readonly folder: string;
  /** Starts it as `npm start` does, with the variables of `env` only. */
  readonly start: (args: readonly string[], env?: Readonly<Record<string, string>>) => BuiltProgram;
  /** Starts it, and tells how it ended. */
  readonly endOf: (args: readonly string[], env?: Readonly<Record<string, string>>) => Promise<ProgramEnd>;
  /** A database of its own, until the end of the test. */
  readonly databaseUrl: () => Promise<string>;
  /** What still runs or lies about of databases that services have started. */
  readonly leftovers: () => Promise<string[]>;
  /** The same, once there is nothing, or when that has taken too long. */
  readonly noLeftovers: () => Promise<string[]>;
}

export function useBuiltService(): BuiltService {
  let build: BuiltPackage;
  const databases: TestDatabase[] = [];

  beforeAll(async () => {
    build = await buildPackage();
  });
  afterEach(async () => {
    await Promise.all(databases.splice(0).map((database) => database.drop()));
  });
  afterAll(() => build.remove());

  const start: BuiltService['start'] = (args, env) => build.start('dist/service/main.js', args, env);
  const leftovers = async () => {
    const processes = (await runCommand('ps', ['-A', '-ww', '-o', 'args='])).output.split('\n');
    const files = await readdir(build.folder);
    return [
      ...processes.filter((line) => line.includes(build.folder)),
      ...files.filter((file) => file.startsWith('embedded-postgres-')),
    ];
  };
  return {
    get folder() {
      return build.folder;
    },
    start,
    endOf: (args, env) => start(args, env).ended,
    databaseUrl: async () => {
      const database = await createTestDatabase();
      databases.push(database);
      return database.url;
    },
    leftovers,
    noLeftovers: () => until(leftovers, (left) => left.length === 0, GONE_LIMIT_MS),
  };
}

export async function query<Row extends object>(url: string, sql: string): Promise<Row[]> {
  const client = new Client(url);
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}
