import { describe, expect, it } from '@jest/globals';
import { ClientProxyFactory, Transport } from '@nestjs/microservices';
import { Redis } from 'ioredis';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { lastValueFrom } from 'rxjs';
import { WEBHOOK_PATTERN } from '../../../src/service/activity/webhook-feed.js';
import { loadWebhookPayloads } from '../../../src/service/activity/webhook-payloads.js';
import { USAGE } from '../../../src/service/config/service-config.js';
import type { RunSummary } from '../../../src/service/display/run-summary.js';
import { renderSummary } from '../../../src/service/display/render-summary.js';
import { readQuoteFiles } from '../../../src/service/quotes/quote-files.js';
import { generateUserFile } from '../../../src/service/users/user-file.js';
import type { BuiltProgram } from '../../support/built-package.js';
import { freePort } from '../../support/free-port.js';
import { createRedisNamespace } from '../../support/redis.js';
import { query, useBuiltService } from './built-service.js';

const { expectation } = generateUserFile();
const service = useBuiltService();
const { start, endOf, noLeftovers, databaseUrl } = service;

describe('npm start -- --once --json FILE', () => {
  it('starts a Postgres, runs the main job, writes the summary, and leaves nothing behind', async () => {
    const { code, output, errors } = await endOf(['--once', '--json', 'summary.json']);

    expect([code, errors]).toEqual([0, '']);
    const summary = JSON.parse(
      await readFile(path.join(service.folder, 'summary.json'), 'utf8'),
    ) as RunSummary;
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
    const temporary = path.join(service.folder, 'temporary');
    await mkdir(temporary);
    const env = { TMPDIR: temporary, PORT: '0', DATABASE_URL: await databaseUrl() };
    const logOf = async (program: BuiltProgram) => {
      const [, file] = await program.printed(/^Log in (.*)$/m);
      program.signal('SIGTERM');
      await program.ended;
      expect(await readFile(path.resolve(service.folder, file!), 'utf8')).toContain('Nest application');
      return file!;
    };
    const file = await logOf(start([], env));
    expect(path.relative(temporary, file)).toMatch(/^background-worker-logs[^/]*\/[^/]*\.log$/);
    expect(await logOf(start([], { ...env, LOG_FILE: 'own.log' }))).toBe('own.log');
    expect(await readdir(path.dirname(file))).toEqual([path.basename(file)]);
  });

  it('cannot lie in a temporary folder that is not there', async () => {
    const TMPDIR = path.join(service.folder, 'missing');
    const { code, output, errors } = await endOf([], { TMPDIR, DATABASE_URL: await databaseUrl() });
    expect([code, output]).toEqual([1, '']);
    expect(errors).toContain(`LOG_FILE: expected a file for the log, as none can be made in ${TMPDIR}\n`);
  });
});

describe('a start that cannot be', () => {
  it('names all that is wrong on the command line, in the environment and in .env', async () => {
    const file = path.join(service.folder, '.env');
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
    const [kept, never] = ['kept.json', 'never.json'].map((file) => path.join(service.folder, file));
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
