import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { DataSource } from 'typeorm';
import type { ProgressDisplay } from '../../../src/service/display/progress.js';
import { countText } from '../../../src/service/display/number-text.js';
import { renderSummary } from '../../../src/service/display/render-summary.js';
import type { RunSummary } from '../../../src/service/display/run-summary.js';
import { runMainJob } from '../../../src/service/run/main-job.js';
import { generateUserFile } from '../../../src/service/users/user-file.js';
import type { UserDefect } from '../../../src/service/users/user-file-layout.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { recordingDisplay, startTestService, type TestService } from './running-service.js';

/** The reason that each kind of bad row has to be given. */
const REASONS: Readonly<Record<UserDefect, string>> = {
  'missing email': 'email: expected an address',
  'malformed email': 'email: expected an address as name@example.com',
  'missing name': 'full_name: expected a name',
  'impossible birth date': 'birth_date: expected a real date as YYYY-MM-DD',
  'birth date in the future': 'birth_date: expected a date that is not in the future',
  'unknown country': 'country: expected a two-letter country code of ISO 3166-1',
  'phone with letters': 'phone: expected 5 to 15 digits, with + ( ) - . / and spaces allowed',
  'unknown plan': 'plan: expected one of free, pro, team, enterprise',
  'wrong number of columns': 'row: expected 8 columns',
  'sign-up before birth': 'signed_up_at: expected an instant after the birth',
};

const { expectation } = generateUserFile();

/** Closes by symbol in the order of the file, read without the code under test. */
async function readCloses(): Promise<Map<string, number[]>> {
  const folder = new URL('../../../node_modules/vega-datasets/data/', import.meta.url);
  const linesOf = async (file: string) =>
    (await readFile(new URL(file, folder), 'utf8')).trim().split(/\r?\n/).slice(1);
  const closes = new Map<string, number[]>([['SPX', []]]);
  for (const line of await linesOf('sp500-2000.csv')) closes.get('SPX')!.push(Number(line.split(',')[4]));
  for (const line of await linesOf('stocks.csv')) {
    const [symbol, , price] = line.split(',') as [string, string, string];
    closes.set(symbol, [...(closes.get(symbol) ?? []), Number(price)]);
  }
  return closes;
}

interface WebhookExample {
  readonly name: string;
  readonly examples: readonly { readonly repository?: { readonly full_name: string } | null }[];
}

const webhooks = createRequire(import.meta.url)('@octokit/webhooks-examples') as readonly WebhookExample[];
const payloads = webhooks.flatMap(({ examples }) => examples);

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, number) => total + number, 0);

const figures = (symbol: string, closesOfSymbol: readonly number[]) => ({
  symbol,
  prices: closesOfSymbol.length,
  return: expect.closeTo(closesOfSymbol.at(-1)! / closesOfSymbol[0]! - 1, 10),
});

describe('the main job', () => {
  let database: TestDatabase;
  let service: TestService;
  let dataSource: DataSource;
  let closes: Map<string, number[]>;
  let summary: RunSummary;
  const display = recordingDisplay();

  beforeAll(async () => {
    closes = await readCloses();
    database = await createTestDatabase();
    service = await startTestService(database.url);
    dataSource = service.app.get(DataSource);
    summary = await runMainJob(service, display);
  }, 60_000);

  afterAll(async () => {
    await service.app.close();
    await database.drop();
  });

  const quotes = () => sum([...closes.values()].map(({ length }) => length));

  /** Everything that the workers have stored, to compare one time with another. */
  const snapshot = () =>
    Promise.all(
      ['users ORDER BY id', 'prices ORDER BY symbol, date', 'quote_statistics ORDER BY symbol'].map((table) =>
        dataSource.query<unknown[]>(`SELECT * FROM ${table}`),
      ),
    );

  it('sums up each worker type with the numbers of its data', () => {
    const numbers = summary.sections.map(({ workerType, items, completed, failed, deadLetters }) => ({
      workerType,
      items,
      completed,
      failed,
      deadLetters,
    }));
    const { rows, badRows } = expectation;
    const clean = { failed: 0, deadLetters: 0 };
    expect(numbers).toEqual([
      {
        workerType: 'user-processing',
        items: rows,
        completed: rows - badRows,
        failed: badRows,
        deadLetters: badRows,
      },
      { workerType: 'financial-data', items: quotes(), completed: quotes(), ...clean },
      { workerType: 'message-processing', items: payloads.length, completed: payloads.length, ...clean },
    ]);
    expect(summary.sections.every(({ itemsPerSecond }) => itemsPerSecond > 0)).toBe(true);
  });

  it('gives a reason for each kind of bad row, with the number of such rows', () => {
    const expected = Object.entries(expectation.badRowsByDefect).map(([defect, count]) => ({
      reason: REASONS[defect as UserDefect],
      count,
    }));
    const [users, ...others] = summary.sections;
    expect(new Set(users!.reasons)).toEqual(new Set(expected));
    expect(others.map(({ reasons }) => reasons)).toEqual([[], []]);
  });

  it('counts what it has stored', () => {
    const repositories = new Set(payloads.flatMap(({ repository }) => repository?.full_name ?? []));
    expect(summary.stored).toEqual({
      users: expectation.uniqueUsers,
      duplicateUsers: expectation.duplicates,
      prices: quotes(),
      symbols: closes.size,
      webhooks: payloads.length,
      repositories: repositories.size,
    });
    expect(summary.storedBefore).toEqual({ users: 0, prices: 0, webhooks: 0 });
  });

  it('never runs more workers than it may, and more than one where there is much to do', () => {
    const peaks = Object.fromEntries(
      summary.workersOverTime.map(({ workerType, samples }) => [
        workerType,
        Math.max(...samples.map(({ workers }) => workers)),
      ]),
    );
    expect(peaks['user-processing']).toBeGreaterThan(1);
    expect(sum(Object.values(peaks))).toBeLessThanOrEqual(8);
    for (const { samples } of summary.workersOverTime) {
      expect(samples.every(({ atMs }) => atMs >= 0 && atMs <= summary.durationMs)).toBe(true);
    }
  });

  it('shows each piece of work to its end', () => {
    const { rows, badRows } = expectation;
    const ended = { isEnded: true };
    expect(display.isClosed).toBe(true);
    expect(display.tracks).toEqual([
      { name: 'user-processing', total: rows, done: rows, failed: badRows, ...ended },
      { name: 'financial-data', total: undefined, done: quotes(), failed: 0, ...ended },
      { name: 'message-processing', total: payloads.length, done: payloads.length, failed: 0, ...ended },
    ]);
  });

  it('stores a user for each address, and writes back to each row what became of it', async () => {
    expect(
      await dataSource.query('SELECT count(*)::int, count(DISTINCT lower(email))::int AS emails FROM users'),
    ).toEqual([{ count: expectation.uniqueUsers, emails: expectation.uniqueUsers }]);
    expect(await dataSource.query('SELECT name, status, rows, done, failed FROM worker_uploads')).toEqual([
      {
        name: 'users.csv',
        status: 'completed-with-failures',
        rows: expectation.rows,
        done: expectation.rows - expectation.badRows,
        failed: expectation.badRows,
      },
    ]);
    const failed = await dataSource.query<{ reason: string; count: number }[]>(
      `SELECT regexp_replace(error, ', got .*', '') AS reason, count(*)::int, max(attempts) AS attempts
       FROM worker_upload_rows WHERE state = 'failed' GROUP BY reason`,
    );
    expect(new Set(failed)).toEqual(
      new Set(
        Object.entries(expectation.badRowsByDefect).map(([defect, count]) => ({
          reason: REASONS[defect as UserDefect],
          count,
          attempts: 1,
        })),
      ),
    );
    expect(
      await dataSource.query(
        `SELECT count(*)::int FROM worker_upload_rows
         WHERE state = 'done' AND (attempts <> 1 OR error IS NOT NULL) OR state = 'pending'`,
      ),
    ).toEqual([{ count: 0 }]);
  });

  it('stores every price of the files, and statistics of each symbol', async () => {
    const statistics = await dataSource.query<{ symbol: string; prices: number; return: number }[]>(
      'SELECT symbol, prices, total_return AS return FROM quote_statistics',
    );
    expect(new Set(statistics)).toEqual(
      new Set([...closes].map(([symbol, ofSymbol]) => figures(symbol, ofSymbol))),
    );
    const [{ total }] = await dataSource.query<[{ total: number }]>('SELECT sum(close) AS total FROM prices');
    expect(total).toBeCloseTo(sum([...closes.values()].map(sum)), 3);
  });

  it('counts each webhook once, under its event', async () => {
    const byEvent = await dataSource.query<{ event: string; count: number }[]>(
      'SELECT event, sum(count)::int AS count FROM repository_activity GROUP BY event',
    );
    const expected = new Map<string, number>();
    for (const { name, examples } of webhooks) {
      expected.set(name, (expected.get(name) ?? 0) + examples.length);
    }
    expect(new Map(byEvent.map(({ event, count }) => [event, count]))).toEqual(expected);
    const deliveries = await dataSource.query('SELECT count(*)::int FROM webhook_deliveries');
    expect(deliveries).toEqual([{ count: payloads.length }]);
  });

  it('writes no payload and no header of a request to the log', () => {
    const log = service.log.join('');
    expect(log).toContain('item');
    expect(log).not.toMatch(/full_name":|"cells"|"payload"|"headers"|user-agent/);
    const levels = new Set(service.log.map((line) => (JSON.parse(line) as { level: number }).level));
    expect(levels).toEqual(new Set([30, 50]));
    expect(service.log.filter((line) => line.includes('is a dead letter'))).toHaveLength(expectation.badRows);
  });

  it('stores nothing twice when it runs again', async () => {
    const before = await snapshot();
    const again = await runMainJob(service, recordingDisplay());
    expect(await snapshot()).toEqual(before);
    const { users, prices, webhooks: deliveries } = summary.stored;
    expect(again.storedBefore).toEqual({ users, prices, webhooks: deliveries });
    // Every row of the second file repeats one of the first; what the first run found is not counted again.
    const duplicateUsers = expectation.rows - expectation.badRows;
    expect(again.stored).toEqual({ ...summary.stored, duplicateUsers });
    expect(renderSummary(again)).toContain(
      `users (0 new; ${countText(duplicateUsers)} rows were duplicates of others)`,
    );
  }, 60_000);
});

describe('the main job of a service that ends', () => {
  it('is broken off and gives no summary, however much of it was done', async () => {
    const database = await createTestDatabase();
    const service = await startTestService(database.url);
    const display = recordingDisplay();
    const shutdownInTheMiddle: ProgressDisplay = {
      close: () => display.close(),
      start(name, total) {
        const track = display.start(name, total);
        if (name !== 'user-processing') return track;
        const update = (done: number, failed: number) => {
          track.update(done, failed);
          if (done > 0) void service.jobs.shutdown();
        };
        return { ...track, update };
      },
    };

    await expect(runMainJob(service, shutdownInTheMiddle)).rejects.toThrow('The upload has been interrupted');
    expect(display.isClosed).toBe(true);
    expect(display.tracks[0]!.done).toBeLessThan(expectation.rows);
    await service.app.close();
    await database.drop();
  }, 30_000);
});
