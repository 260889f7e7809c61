import { describe, expect, it, jest } from '@jest/globals';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Client } from 'pg';
import { databaseOptions, openDataSource } from '../../../src/service/database.js';
import { countText } from '../../../src/service/display/number-text.js';
import { generateUserFile } from '../../../src/service/users/user-file.js';
import type { BuiltProgram } from '../../support/built-package.js';
import { until } from '../../support/until.js';
import { startTestService } from './running-service.js';
import { query, useBuiltService, START_LIMIT_MS } from './built-service.js';

// Each test starts a service, some of them two with databases of their own.
jest.setTimeout(START_LIMIT_MS + 60_000);

const { expectation } = generateUserFile();
const service = useBuiltService();
const { start, leftovers, noLeftovers, databaseUrl } = service;

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
    expect(existsSync(path.join(service.folder, 'interrupted.json'))).toBe(false);

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

/** A service whose users can't be stored until the table is let go; they can be counted. */
async function startStuck(): Promise<{ program: BuiltProgram; letGo: () => Promise<void> }> {
  const url = await databaseUrl();
  await (await openDataSource(databaseOptions(url))).destroy();
  const holder = new Client(url);
  await holder.connect();
  await holder.query('BEGIN');
  await holder.query('LOCK TABLE users IN SHARE MODE');
  const program = start(['--once'], { PORT: '0', DATABASE_URL: url });
  const waiting = `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INTO users%'`;
  const stuck = await until(
    () => query(url, waiting),
    ({ length }) => length > 0,
    START_LIMIT_MS,
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
    // As long as it has not ended: one that comes while the process leaves signals to the system is heard by nobody.
    const again = setInterval(() => program.signal('SIGTERM'), 100);
    const { code, signal, output, errors } = await program.ended.finally(() => clearInterval(again));
    // By the code for it, where it comes before the process has left it to the system.
    expect([signal ?? code, errors]).toEqual([signal === null ? 143 : 'SIGTERM', '']);
    expect(output).toMatch(/ends at once\.\n$/);
    await letGo();
  });
});
