import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '../../src/service/embedded-postgres/embedded-postgres.js';
import { runCommand } from '../../src/service/embedded-postgres/run-command.js';
import { startTypescriptProgram, type TypescriptProgram } from '../support/typescript-program.js';
import { until } from '../support/until.js';

const PROGRAM = new URL('./embedded-postgres.program.ts', import.meta.url);
const GONE_LIMIT_MS = 20_000;

const servers: EmbeddedPostgres[] = [];
const programs: TypescriptProgram[] = [];
const directories: string[] = [];

afterEach(async () => {
  await Promise.all(programs.splice(0).map((program) => program.kill()));
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true });
});

describe('a temporary server', () => {
  test('answers, and leaves nothing behind when it stops', async () => {
    const server = await start();

    expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);

    await server.stop();
    expect(await answers(server.url)).toBe(false);
    expect(existsSync(server.directory)).toBe(false);
  });

  test('can be stopped twice', async () => {
    const server = await start();
    await Promise.all([server.stop(), server.stop()]);

    await expect(server.stop()).resolves.toBeUndefined();
  });

  test('does not disturb another one', async () => {
    const [first, second] = await Promise.all([start(), start()]);

    await first.stop();

    expect(await answers(second.url)).toBe(true);
    expect(second.directory).not.toBe(first.directory);
  });

  test('goes when its application is killed', async () => {
    const { program, server } = await startProgram();
    expect(await answers(server.url)).toBe(true);

    await program.kill();

    expect(
      await until(
        () => answers(server.url),
        (yes) => !yes,
        GONE_LIMIT_MS,
      ),
    ).toBe(false);
    const folderExists = async () => existsSync(server.directory);
    expect(await until(folderExists, (exists) => !exists, GONE_LIMIT_MS)).toBe(false);
  });

  test('serves on after Ctrl-C until its application has drained', async () => {
    const { program, server } = await startProgram();

    program.signalGroup('SIGINT');

    expect(await program.nextLine()).toBe('drained');
    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(await answers(server.url)).toBe(false);
    expect(existsSync(server.directory)).toBe(false);
  });

  test('that is not ready in time is an error', async () => {
    await expect(startEmbeddedPostgres({ startTimeoutMs: 1 })).rejects.toThrow(
      /Postgres was not ready within/,
    );
  });

  test('on a port that is taken is an error with the words of Postgres', async () => {
    const { url } = await start();

    const second = startEmbeddedPostgres({ port: Number(new URL(url).port) });

    await expect(second).rejects.toThrow(
      /ended with exit code 1 before it was ready[^]*Address already in use/,
    );
  });
});

describe('a server with a directory', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'embedded-postgres-spec-'));
    directories.push(directory);
    await chmod(directory, 0o755);
  });

  test('keeps its rows, after an orderly stop and after a kill -9', async () => {
    const first = await start(directory);
    await query(first.url, 'CREATE TABLE kept (id int)');
    await query(first.url, 'INSERT INTO kept VALUES (1)');
    await first.stop();

    const second = await start(directory);
    await query(second.url, 'INSERT INTO kept VALUES (2)');
    process.kill(await serverPid(directory), 'SIGKILL');

    const third = await start(directory);
    expect(await query(third.url, 'SELECT id FROM kept ORDER BY id')).toEqual([{ id: 1 }, { id: 2 }]);
  });

  test('is durable, as Postgres is by default', async () => {
    const { url } = await start(directory);
    expect(await query(url, 'SHOW fsync')).toEqual([{ fsync: 'on' }]);
  });

  test('cannot be started twice at once', async () => {
    const { url } = await start(directory);

    await expect(startEmbeddedPostgres({ directory })).rejects.toThrow(
      `in use: process ${process.pid} runs a server`,
    );

    expect(await answers(url)).toBe(true);
  });

  test('that lost its application and its keeper is replaced at the next start', async () => {
    const { program, server: lost } = await startProgram(directory);
    await query(lost.url, 'CREATE TABLE kept (id int)');
    process.kill(await parentOf(await serverPid(directory)), 'SIGKILL');
    await program.kill();
    expect(await answers(lost.url)).toBe(true);

    const next = await start(directory);

    expect(await answers(lost.url)).toBe(false);
    expect(await query(next.url, 'SELECT * FROM kept')).toEqual([]);
  });
});

async function start(directory?: string): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres(directory === undefined ? {} : { directory });
  servers.push(server);
  return server;
}

async function startProgram(directory?: string) {
  const program = startTypescriptProgram(PROGRAM, directory === undefined ? [] : [directory]);
  programs.push(program);
  const server = JSON.parse(await program.nextLine()) as Pick<EmbeddedPostgres, 'url' | 'directory'>;
  return { program, server };
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client(url);
  await client.connect();
  try {
    return (await client.query(sql)).rows as unknown[];
  } finally {
    await client.end();
  }
}

async function answers(url: string): Promise<boolean> {
  return query(url, 'SELECT 1').then(
    () => true,
    () => false,
  );
}

async function serverPid(directory: string): Promise<number> {
  return Number.parseInt(await readFile(path.join(directory, 'data', 'postmaster.pid'), 'utf8'), 10);
}

async function parentOf(pid: number): Promise<number> {
  if (process.platform !== 'linux')
    return Number((await runCommand('ps', ['-o', 'ppid=', '-p', `${pid}`])).output);
  // "pid (name) state parent …"
  return Number((await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')[1]);
}
