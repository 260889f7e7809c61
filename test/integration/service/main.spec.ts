import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { ClientProxyFactory, Transport } from '@nestjs/microservices';
import { Redis } from 'ioredis';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { Client } from 'pg';
import { lastValueFrom } from 'rxjs';
import { WEBHOOK_PATTERN } from '../../../src/service/activity/webhook-feed.js';
import { loadWebhookPayloads } from '../../../src/service/activity/webhook-payloads.js';
import { USAGE } from '../../../src/service/config/service-config.js';
import { databaseOptions, openDataSource } from '../../../src/service/database.js';
import { countText } from '../../../src/service/display/number-text.js';
import type { RunSummary } from '../../../src/service/display/run-summary.js';
import { renderSummary } from '../../../src/service/display/render-summary.js';
import { runCommand } from '../../../src/service/embedded-postgres/run-command.js';
import { readQuoteFiles } from '../../../src/service/quotes/quote-files.js';
import { generateUserFile } from '../../../src/service/users/user-file.js';
import { buildPackage, type BuiltPackage, type BuiltProgram } from '../../support/built-package.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { freePort } from '../../support/free-port.js';
import { createRedisNamespace } from '../../support/redis.js';
import { until } from '../../support/until.js';
import { startTestService } from './running-service.js';

jest.setTimeout(30_000);

const GONE_LIMIT_MS = 20_000;

const { expectation } = generateUserFile();
let build: BuiltPackage;

beforeAll(async () => {
  build = await buildPackage();
});

afterAll(() => build.remove());

const databases: TestDatabase[] = [];

afterEach(async () => {
  await Promise.all(databases.splice(0).map((database) => database.drop()));
});

async function databaseUrl(): Promise<string> {
  const database = await createTestDatabase();
  databases.push(database);
  return database.url;
}

async function query<Row extends object>(url: string, sql: string): Promise<Row[]> {
  const client = new Client(url);
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** What still runs or lies about of databases that services have started. */
async function leftovers(): Promise<string[]> {
  const processes = (await runCommand('ps', ['-A', '-ww', '-o', 'args='])).output.split('\n');
  const files = await readdir(build.folder);
  return [
    ...processes.filter((line) => line.includes(build.folder)),
    ...files.filter((file) => file.startsWith('embedded-postgres-')),
  ];
}

const noLeftovers = () => until(leftovers, (left) => left.length === 0, GONE_LIMIT_MS);

/** Starts the service as `npm start` does, with the variables of `env` only. */
const start = (args: readonly string[], env?: Readonly<Record<string, string>>): BuiltProgram =>
  build.start('dist/service/main.js', args, env);

const endOf = (...input: Parameters<typeof start>) => start(...input).ended;

describe('npm start -- --once --json FILE', () => {
  it('starts a Postgres, runs the main job, writes the summary, and leaves nothing behind', async () => {
    const { code, output, errors } = await endOf(['--once', '--json', 'summary.json']);

    expect([code, errors]).toEqual([0, '']);
    const summary = JSON.parse(await readFile(path.join(build.folder, 'summary.json'), 'utf8')) as RunSummary;
    const { rows, badRows, uniqueUsers, duplicates } = expectation;
    const quotes = (await readQuoteFiles()).length;
    const webhooks = loadWebhookPayloads().length;
    expect(
      summary.sections.map(({ workerType, items, completed, deadLetters }) => [
        workerType,
        items,
        completed,
        deadLetters,
      ]),
    ).toEqual([
      ['user-processing', rows, rows - badRows, badRows],
      ['financial-data', quotes, quotes, 0],
      ['message-processing', webhooks, webhooks, 0],
    ]);
    expect(summary.stored).toMatchObject({
      users: uniqueUsers,
      duplicateUsers: duplicates,
      prices: quotes,
      webhooks,
    });
    expect(output).toContain(`${renderSummary(summary)}\nSummary in summary.json\n`);
    expect(await noLeftovers()).toEqual([]);
  });
});

describe('npm start -- --help', () => {
  it.each(['--help', '-h'])('prints the usage and ends, whatever else is wrong: %s', async (option) => {
    const end = await endOf([option, '--twice'], { PORT: 'eighty' });
    expect(end).toEqual({ code: 0, signal: null, output: `${USAGE}\n`, errors: '' });
  });
});

describe('the log', () => {
  it('lies in a folder of its own unless LOG_FILE names another', async () => {
    const temporary = path.join(build.folder, 'temporary');
    await mkdir(temporary);
    const env = { TMPDIR: temporary, PORT: '0', DATABASE_URL: await databaseUrl() };
    const logOf = async (program: BuiltProgram) => {
      const [, file] = await program.printed(/^Log in (.*)$/m);
      program.signal('SIGTERM');
      await program.ended;
      expect(await readFile(path.resolve(build.folder, file!), 'utf8')).toContain('Nest application');
      return file!;
    };
    const file = await logOf(start([], env));
    expect(path.relative(temporary, file)).toMatch(/^background-worker-logs[^/]*\/[^/]*\.log$/);
    expect(await logOf(start([], { ...env, LOG_FILE: 'own.log' }))).toBe('own.log');
    expect(await readdir(path.dirname(file))).toEqual([path.basename(file)]);
  });

  it('cannot lie in a temporary folder that is not there', async () => {
    const TMPDIR = path.join(build.folder, 'missing');
    const { code, output, errors } = await endOf([], { TMPDIR, DATABASE_URL: await databaseUrl() });
    expect([code, output]).toEqual([1, '']);
    expect(errors).toContain(`LOG_FILE: expected a file for the log, as none can be made in ${TMPDIR}\n`);
  });
});

describe('a start that cannot be', () => {
  it('names all that is wrong on the command line, in the environment and in .env', async () => {
    const file = path.join(build.folder, '.env');
    await writeFile(file, 'PORT=eighty\n');
    const { code, output, errors } = await endOf(['--twice'], {
      LOG_LEVEL: 'loud',
      DATABASE_URL: 'mysql://ada:s3cret@host/db',
    });
    await rm(file);
    expect([code, output]).toEqual([1, '']);
    expect(errors).toContain("Unknown option '--twice'");
    expect(errors).toContain('PORT: expected a whole number from 0 to 65535, got "eighty"');
    expect(errors).toContain('LOG_LEVEL: expected one of');
    expect(errors).toContain('DATABASE_URL: expected a URL that begins with postgres://');
    expect(errors).not.toMatch(/s3cret|^ +at /m);
  });

  it('names files that cannot be written, before anything is started', async () => {
    const { code, output, errors } = await endOf(['--json', 'no/summary.json'], {
      LOG_FILE: 'no/service.log',
    });
    expect([code, output]).toEqual([1, '']);
    const expected = 'expected a file that can be written, got ENOENT: no such file or directory, open';
    expect(errors).toBe(`\nLOG_FILE: ${expected} 'no/service.log'\n--json: ${expected} 'no/summary.json'\n`);
  });

  it('names a cron that cannot be read, before a Postgres is started', async () => {
    const { code, output, errors } = await endOf([], { QUOTES_CRON: 'daily at six' });
    expect([code, output]).toEqual([1, '']);
    expect(errors).toBe(
      '\nQUOTES_CRON: expected a cron expression, got "daily at six" (Unknown alias: dai)\n',
    );
  });

  it('leaves no file for the summary that there will never be, and keeps one of a former run', async () => {
    const env = { DATABASE_URL: `postgres://127.0.0.1:${await freePort()}/x`, PORT: '0' };
    const [kept, never] = ['kept.json', 'never.json'].map((file) => path.join(build.folder, file));
    await writeFile(kept!, '{}\n');
    for (const file of [kept!, never!]) expect((await endOf(['--json', file], env)).code).toBe(1);
    expect(await readFile(kept!, 'utf8')).toBe('{}\n');
    expect(existsSync(never!)).toBe(false);
  });

  it('names the port that is in use', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { code, errors } = await endOf([], { DATABASE_URL: await databaseUrl(), PORT: String(port) });
    server.close();
    expect([code, errors]).toEqual([1, `\nPort ${port} (PORT) is in use\n`]);
  });

  it('names the Postgres that is not there', async () => {
    const port = await freePort();
    const { code, output, errors } = await endOf([], {
      DATABASE_URL: `postgres://ada:s3cret@127.0.0.1:${port}/x`,
    });
    expect([code, output]).toEqual([1, '']);
    expect(errors).toBe(
      `\nThe database (DATABASE_URL) could not be opened\n  because: Nothing listens at 127.0.0.1:${port}\n`,
    );
  });

  it('names the Redis that is not there', async () => {
    const port = await freePort();
    const env = { DATABASE_URL: await databaseUrl(), REDIS_URL: `redis://:s3cret@127.0.0.1:${port}` };
    const { code, errors } = await endOf([], env);
    expect(code).toBe(1);
    expect(errors).toContain('Redis (REDIS_URL) could not be reached\n  because: ');
    expect(errors).toContain(`redis://127.0.0.1:${port}: connect ECONNREFUSED`);
    expect(errors).not.toMatch(/s3cret|^ +at /m);
  });
});

describe('without --once', () => {
  it('two services run at once, stay up on ports of their own, and end at a signal with their databases', async () => {
    const programs = [start([]), start([])];
    const urls = await Promise.all(
      programs.map(async (program) => (await program.printed(/The service stays up at (\S+);/))[1]!),
    );
    expect(new Set(urls).size).toBe(2);
    for (const url of urls) expect((await fetch(`${url}/status`)).status).toBe(200);
    expect(await leftovers()).not.toEqual([]);

    programs[0]!.signal('SIGINT');
    programs[1]!.signal('SIGTERM');
    const ends = await Promise.all(programs.map(({ ended }) => ended));
    expect(ends.map(({ signal, errors }) => [signal, errors])).toEqual([
      ['SIGINT', ''],
      ['SIGTERM', ''],
    ]);
    const told = ends.map(({ output }) => output.slice(output.indexOf('Ctrl-C ends it.')));
    const notice = 'finishing the work under way (at most 20 s); a second signal ends at once.';
    expect(told).toEqual([
      expect.stringContaining(`\n\nSIGINT: ${notice}\nEnded after `),
      expect.stringContaining(`\n\nSIGTERM: ${notice}\nEnded after `),
    ]);
    expect(await noLeftovers()).toEqual([]);
  });

  it('a signal while the service is starting ends it, and its database', async () => {
    const program = start([]);
    await program.printed(/Starting a Postgres/);
    program.signal('SIGINT');
    expect(await program.ended).toMatchObject({ signal: 'SIGINT', errors: '' });
    expect(await noLeftovers()).toEqual([]);
  });

  it('a signal at the beginning of the run ends it without a word of failure', async () => {
    const program = start(['--once'], { PORT: '0', DATABASE_URL: await databaseUrl() });
    await program.printed(/Service at/);
    program.signal('SIGINT');
    const { signal, output, errors } = await program.ended;
    expect([signal, errors]).toEqual(['SIGINT', '']);
    expect(output).not.toMatch(/Run of|stays up/);
  });

  it('a signal in the middle of the run tells of the rows that go with the Postgres of the service', async () => {
    const program = start([], { PORT: '0' });
    await program.printed(/user-processing +\d+ %/);
    program.signal('SIGINT');
    const { signal, output, errors } = await program.ended;
    expect([signal, errors]).toEqual(['SIGINT', '']);
    expect(output).toMatch(
      /\nEnded after [^\n]*\n[\d,]+ of 10,000 rows of the upload \S+ were not worked on, and went with the service's own Postgres; one that DATABASE_URL names would keep them\.\n$/,
    );
    expect(await noLeftovers()).toEqual([]);
  });

  it('a signal in the middle of the run leaves nothing half done, and the next service does the rest', async () => {
    const url = await databaseUrl();
    const program = start(['--json', 'interrupted.json'], { PORT: '0', DATABASE_URL: url });
    await program.printed(/user-processing +\d+ %/);
    program.signal('SIGTERM');
    const { signal, output, errors } = await program.ended;
    expect([signal, errors]).toEqual(['SIGTERM', '']);
    expect(output).not.toMatch(/Run of|stays up/);
    expect(existsSync(path.join(build.folder, 'interrupted.json'))).toBe(false);

    const [upload] = await query<{ id: string; status: string; done: number; failed: number }>(
      url,
      'SELECT id, status, done, failed FROM worker_uploads',
    );
    const [rows] = await query<Record<'pending' | 'done' | 'failed' | 'emails', number>>(
      url,
      `SELECT count(*) FILTER (WHERE state = 'pending')::int AS pending,
              count(*) FILTER (WHERE state = 'done')::int AS done,
              count(*) FILTER (WHERE state = 'failed')::int AS failed,
              (count(DISTINCT lower(trim(payload->'cells'->>'email'))) FILTER (WHERE state = 'done'))::int AS emails
       FROM worker_upload_rows`,
    );
    const [{ users } = { users: 0 }] = await query<{ users: number }>(
      url,
      'SELECT count(*)::int AS users FROM users',
    );
    expect(upload).toMatchObject({ status: 'processing', done: rows!.done, failed: rows!.failed });
    expect(rows!.done).toBeGreaterThan(0);
    expect(rows!.pending).toBeGreaterThan(0);
    expect(users).toBe(rows!.emails);
    expect(output).toContain(
      `\n${countText(rows!.pending)} of ${countText(expectation.rows)} rows of the upload ${upload!.id} were not worked on; ` +
        `the next service goes on with them at POST /uploads/${upload!.id}/process.\n`,
    );

    const next = await startTestService(url);
    const ended = next.next('uploadEnded');
    await next.post(`/uploads/${upload!.id}/process`);
    expect(await ended).toMatchObject({ status: 'completed-with-failures', rows: rows!.pending });
    expect((await next.get(`/uploads/${upload!.id}`)).body).toMatchObject({
      done: expectation.rows - expectation.badRows,
      failed: expectation.badRows,
    });
    await next.app.close();
    expect(await query(url, 'SELECT count(*)::int FROM users')).toEqual([{ count: expectation.uniqueUsers }]);
  });
});

/** A service whose users can't be stored until the table is let go. */
async function startStuck(): Promise<{ program: BuiltProgram; letGo: () => Promise<void> }> {
  const url = await databaseUrl();
  await (await openDataSource(databaseOptions(url))).destroy();
  const holder = new Client(url);
  await holder.connect();
  await holder.query('BEGIN');
  await holder.query('LOCK TABLE users');
  const program = start(['--once'], { PORT: '0', DATABASE_URL: url });
  const waiting = `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INTO users%'`;
  const stuck = await until(
    () => query(url, waiting),
    ({ length }) => length > 0,
    GONE_LIMIT_MS,
  );
  expect(stuck).not.toEqual([]);
  return { program, letGo: () => holder.end() };
}

describe('a signal while work is under way that takes its time', () => {
  it('is answered at once, below the progress, and when the work has ended', async () => {
    const { program, letGo } = await startStuck();
    program.signal('SIGINT');
    await program.printed(/^\nSIGINT: finishing the work under way \(at most 20 s\)/m);
    await letGo();
    const { signal, output, errors } = await program.ended;
    expect([signal, errors]).toEqual(['SIGINT', '']);
    expect(output).toMatch(/ends at once\.\nEnded after \d[^\n]*\.\n[^\n]* were not worked on; [^\n]*\.\n$/);
  });

  it('and a second one ends it at once', async () => {
    const { program, letGo } = await startStuck();
    program.signal('SIGINT');
    await program.printed(/^\nSIGINT: finishing/m);
    program.signal('SIGTERM');
    const { code, signal, output, errors } = await program.ended;
    // By the code for it, where it comes before the process has left it to the system.
    expect([signal ?? code, errors]).toEqual([signal === null ? 143 : 'SIGTERM', '']);
    expect(output).toMatch(/ends at once\.\n$/);
    await letGo();
  });
});

describe('with REDIS_URL', () => {
  it('checkpoints lie in Redis, and webhooks come from other processes', async () => {
    const redis = await createRedisNamespace();
    const cache = new Redis(redis.url, { lazyConnect: true });
    const monitor = await cache.monitor();
    const checkpoints: string[] = [];
    monitor.on('monitor', (_time: string, [command, key]: string[]) => {
      if (key === 'worker:cursor:daily-quotes') checkpoints.push(command!.toLowerCase());
    });
    // Where a former run was interrupted.
    const last = '2015-01-02 SPX';
    await cache.set('worker:cursor:daily-quotes', JSON.stringify(Buffer.from(last).toString('base64url')));

    const url = await databaseUrl();
    const program = start([], { PORT: '0', DATABASE_URL: url, REDIS_URL: redis.url });
    const [, serviceUrl] = await program.printed(/The service stays up at (\S+);/);
    const rest = (await readQuoteFiles()).filter(({ date, symbol }) => `${date} ${symbol}` > last);
    expect(await query(url, 'SELECT count(*)::int FROM prices')).toEqual([{ count: rest.length }]);
    expect(checkpoints.slice(1)).toEqual(['get', ...Array(Math.floor(rest.length / 500)).fill('set'), 'del']);
    expect(await cache.exists('worker:cursor:daily-quotes')).toBe(0);

    const { hostname, port } = new URL(redis.url);
    const options = { host: hostname, port: Number(port) };
    const client = ClientProxyFactory.create({ transport: Transport.REDIS, options });
    const message = { event: 'star', payload: { repository: { full_name: 'a/b' } } };
    const receipt = await lastValueFrom(client.send<object>(WEBHOOK_PATTERN, message));
    expect(receipt).toMatchObject({ items: 1, done: 1, failed: 0 });
    await client.close();
    expect(await (await fetch(`${serviceUrl}/activity`)).json()).toContainEqual({
      repository: 'a/b',
      event: 'star',
      count: 1,
    });

    program.signal('SIGTERM');
    const { signal, output, errors } = await program.ended;
    expect([signal, errors]).toEqual(['SIGTERM', '']);
    expect(output).toContain(`messages Redis at ${hostname}:${port}\n`);
    monitor.disconnect();
    await cache.quit();
    await redis.close();
  });
});
