import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Readable } from 'node:stream';
import { DataSource, type EntityManager } from 'typeorm';
import { RepositoryActivity, WebhookDelivery } from '../../../src/service/activity/activity.entity.js';
import { toActivity } from '../../../src/service/activity/activity.js';
import { storeActivity, type ActivityToStore } from '../../../src/service/activity/store-activity.js';
import { loadWebhookPayloads } from '../../../src/service/activity/webhook-payloads.js';
import { Price } from '../../../src/service/quotes/price.entity.js';
import { readQuoteFiles } from '../../../src/service/quotes/quote-files.js';
import { QuoteStatistics } from '../../../src/service/quotes/quote-statistics.entity.js';
import { computeQuoteStatistics } from '../../../src/service/quotes/quote-statistics.js';
import type { Quote } from '../../../src/service/quotes/quote.js';
import { storePrices } from '../../../src/service/quotes/store-prices.js';
import { InvalidUserError, normaliseUser } from '../../../src/service/users/normalise-user.js';
import { parseUserFile } from '../../../src/service/users/parse-user-file.js';
import { seededRandom } from '../../../src/service/users/seeded-random.js';
import { storeUsers, type StoredUsers, type UserToStore } from '../../../src/service/users/store-users.js';
import { generateUserFile } from '../../../src/service/users/user-file.js';
import { StoredUser } from '../../../src/service/users/user.entity.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';

let database: TestDatabase;
let connection: DataSource;
let manager: EntityManager;

beforeAll(async () => {
  database = await createTestDatabase();
  connection = new DataSource({
    type: 'postgres',
    url: database.url,
    entities: [StoredUser, Price, QuoteStatistics, RepositoryActivity, WebhookDelivery],
    synchronize: true,
  });
  await connection.initialize();
  manager = connection.manager;
});

beforeEach(async () => {
  const tables = connection.entityMetadatas.map(({ tablePath }) => tablePath);
  await connection.query(`TRUNCATE ${tables.join(', ')} RESTART IDENTITY`);
});

afterAll(async () => {
  await connection.destroy();
  await database.drop();
});

function batchesOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

function shuffled<T>(items: readonly T[], seed: number): T[] {
  const random = seededRandom(seed, 'shuffle');
  return items
    .map((item) => ({ item, order: random.integer(2 ** 31) }))
    .toSorted((a, b) => a.order - b.order)
    .map(({ item }) => item);
}

/** Stores the rows of each round over four connections at once, over two of them in the opposite order. */
async function storeCrosswise<T>(
  rowsOf: (round: number) => readonly T[],
  store: (rows: readonly T[]) => Promise<unknown>,
): Promise<void> {
  for (let round = 0; round < 5; round++) {
    const rows = rowsOf(round);
    const backwards = rows.toReversed();
    await Promise.all([store(rows), store(backwards), store(rows), store(backwards)]);
  }
}

const row = (email: string, sourceRow: string): UserToStore => ({
  sourceRow,
  user: {
    id: sourceRow,
    email,
    fullName: `Ms. "${sourceRow}", 山田`,
    birthDate: '1990-02-28',
    country: 'DE',
    phone: null,
    signedUpAt: '2020-02-29T08:00:00.123Z',
    plan: 'pro',
  },
});

describe('storeUsers', () => {
  it('stores a user as it is', async () => {
    await storeUsers(manager, [row('ada@example.com', 'file-1/7')]);
    expect(await manager.find(StoredUser)).toEqual([
      {
        id: '1',
        email: 'ada@example.com',
        sourceRow: 'file-1/7',
        fullName: 'Ms. "file-1/7", 山田',
        birthDate: '1990-02-28',
        country: 'DE',
        phone: null,
        signedUpAt: new Date('2020-02-29T08:00:00.123Z'),
        plan: 'pro',
      },
    ]);
  });

  it('stores nothing for no rows', async () => {
    expect(await storeUsers(manager, [])).toEqual({ created: 0, replayed: 0, duplicates: 0 });
  });

  it('keeps the first row with an email, within a call and across calls', async () => {
    const first = [row('z@x.example', 'z'), row('a@x.example', 'a1'), row('a@x.example', 'a2')];
    expect(await storeUsers(manager, first)).toEqual({ created: 2, replayed: 0, duplicates: 1 });
    const second = [row('a@x.example', 'a3'), row('b@x.example', 'b')];
    expect(await storeUsers(manager, second)).toEqual({ created: 1, replayed: 0, duplicates: 1 });
    const stored = await manager.find(StoredUser, { order: { email: 'ASC' } });
    expect(stored.map(({ sourceRow }) => sourceRow)).toEqual(['a1', 'b', 'z']);
  });

  it('takes a row that comes again for a replay, and a duplicate for a duplicate still', async () => {
    const rows = [row('a@x.example', 'a1'), row('a@x.example', 'a2'), row('b@x.example', 'b')];
    await storeUsers(manager, rows);
    const before = await manager.find(StoredUser, { order: { email: 'ASC' } });
    expect(await storeUsers(manager, rows.toReversed())).toEqual({ created: 0, replayed: 2, duplicates: 1 });
    const mixed = [rows[0]!, row('c@x.example', 'c')];
    expect(await storeUsers(manager, mixed)).toEqual({ created: 1, replayed: 1, duplicates: 0 });
    const after = await manager.find(StoredUser, { order: { email: 'ASC' } });
    expect(after.slice(0, 2)).toEqual(before);
  });

  it('stores all rows of a call or none', async () => {
    const { user } = row('b@x.example', 'b');
    const rows = [row('a@x.example', 'a'), { sourceRow: 'b', user: { ...user, birthDate: '1990-02-30' } }];
    await expect(storeUsers(manager, rows)).rejects.toThrow('1990-02-30');
    expect(await manager.count(StoredUser)).toBe(0);
  });

  it('counts each new user once when calls with the same emails run at once', async () => {
    const rows = Array.from({ length: 400 }, (_, index) => row(`u${index}@x.example`, `row-${index}`));
    const results: StoredUsers[] = [];
    await storeCrosswise(
      () => rows,
      async (some) => results.push(await storeUsers(manager, some)),
    );
    expect(results.reduce((sum, { created }) => sum + created, 0)).toBe(400);
    expect(results.reduce((sum, { replayed }) => sum + replayed, 0)).toBe(19 * 400);
    expect(results.filter(({ duplicates }) => duplicates > 0)).toEqual([]);
  });

  it('ends with the numbers of the file, though every batch comes twice', async () => {
    const file = generateUserFile({ rows: 4_000, seed: 9 });
    const valid: UserToStore[] = [];
    let badRows = 0;
    for await (const { line, cells } of parseUserFile(Readable.from(file))) {
      try {
        valid.push({ sourceRow: `file-9/${line}`, user: normaliseUser(cells) });
      } catch (error) {
        if (!(error instanceof InvalidUserError)) throw error;
        badRows++;
      }
    }
    const totals = { created: 0, replayed: 0, duplicates: 0 };
    for (const batch of batchesOf(valid, 100).flatMap((one) => [one, one])) {
      const { created, replayed, duplicates } = await storeUsers(manager, batch);
      totals.created += created;
      totals.replayed += replayed;
      totals.duplicates += duplicates;
    }
    const { uniqueUsers, duplicates } = file.expectation;
    expect(totals).toEqual({ created: uniqueUsers, replayed: uniqueUsers, duplicates: 2 * duplicates });
    expect(badRows).toBe(file.expectation.badRows);
    expect(await manager.count(StoredUser)).toBe(uniqueUsers);
  });
});

const quote = (symbol: string, date: string, close: number): Quote => ({ symbol, date, close });

describe('storePrices', () => {
  it('stores a quote as it is, and says how many rows it wrote', async () => {
    const full = {
      symbol: 'X',
      date: '2020-02-29',
      open: 1.1,
      high: 2.2,
      low: 0.1,
      close: 1.7,
      volume: 11_456_230_000,
    };
    expect(await storePrices(manager, [full, quote('X', '2020-03-01', 2)])).toBe(2);
    expect(await manager.find(Price, { order: { date: 'ASC' } })).toEqual([
      full,
      { symbol: 'X', date: '2020-03-01', open: null, high: null, low: null, close: 2, volume: null },
    ]);
  });

  it('writes nothing for what is there already', async () => {
    const quotes = [quote('X', '2020-01-01', 1), quote('Y', '2020-01-01', 2)];
    expect(await storePrices(manager, quotes)).toBe(2);
    expect(await storePrices(manager, quotes)).toBe(0);
    expect(await storePrices(manager, [])).toBe(0);
  });

  it('lets the later quote of a day win, within a call and across calls', async () => {
    await storePrices(manager, [quote('X', '2020-01-01', 1), quote('X', '2020-01-01', 2)]);
    expect(await manager.find(Price)).toMatchObject([{ close: 2 }]);
    expect(await storePrices(manager, [quote('X', '2020-01-01', 3)])).toBe(1);
    expect(await manager.find(Price)).toMatchObject([{ close: 3 }]);
  });

  it('refuses a price of nothing, and stores none of the call', async () => {
    const quotes = [quote('X', '2020-01-01', 1), quote('Y', '2020-01-01', 0)];
    await expect(storePrices(manager, quotes)).rejects.toThrow('prices_close_positive');
    expect(await manager.count(Price)).toBe(0);
  });

  it('does not lock crosswise', async () => {
    const quotes = (await readQuoteFiles()).slice(0, 400);
    let call = 0;
    await storeCrosswise(
      () => quotes,
      (some) => {
        const close = ++call;
        return storePrices(
          manager,
          some.map((one) => ({ ...one, close })),
        );
      },
    );
    expect(await manager.count(Price)).toBe(400);
  });
});

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Ten digits: two ways of adding doubles differ in the last ones. */
function rounded(statistics: QuoteStatistics): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(statistics).map(([name, value]) => [
      name,
      typeof value === 'number' ? Number(value.toPrecision(10)) : (value as unknown),
    ]),
  );
}

/** The same figures by other means: loops over the quotes in memory. */
function calculate(symbol: string, quotes: readonly Quote[]): QuoteStatistics {
  const ofSymbol = quotes
    .filter((one) => one.symbol === symbol)
    .toSorted((a, b) => (a.date < b.date ? -1 : 1));
  const closes = ofSymbol.map(({ close }) => close);
  const returns = closes.slice(1).map((close, index) => Math.log(close) - Math.log(closes[index]!));
  const average = mean(returns);
  const variance = returns.reduce((sum, one) => sum + (one - average) ** 2, 0) / (returns.length - 1);
  const periodsPerYear = symbol === 'SPX' ? 252 : 12;
  let highest = 0;
  let maxDrawdown = 0;
  for (const close of closes) {
    highest = Math.max(highest, close);
    maxDrawdown = Math.max(maxDrawdown, (highest - close) / highest);
  }
  return {
    symbol,
    prices: closes.length,
    firstDate: ofSymbol[0]!.date,
    lastDate: ofSymbol.at(-1)!.date,
    periodsPerYear,
    totalReturn: (closes.at(-1)! - closes[0]!) / closes[0]!,
    movingAverage20: mean(closes.slice(-20)),
    movingAverage50: mean(closes.slice(-50)),
    annualVolatility: Math.sqrt(variance * periodsPerYear),
    maxDrawdown,
  };
}

describe('computeQuoteStatistics', () => {
  it('gives what an independent calculation gives', async () => {
    const quotes = await readQuoteFiles();
    for (const batch of batchesOf(quotes, 500)) await storePrices(manager, batch);
    const statistics = await computeQuoteStatistics(manager);
    const symbols = ['AAPL', 'AMZN', 'GOOG', 'IBM', 'MSFT', 'SPX'];
    expect(statistics.map(rounded)).toEqual(symbols.map((symbol) => rounded(calculate(symbol, quotes))));
    expect(await manager.find(QuoteStatistics, { order: { symbol: 'ASC' } })).toEqual(statistics);
    // By hand, from the first and the last line of the file.
    expect(statistics[0]).toMatchObject({ prices: 123, firstDate: '2000-01-01', lastDate: '2010-03-01' });
    expect(statistics[0]!.totalReturn).toBeCloseTo(223.02 / 25.94 - 1, 12);
  });

  it('gives the very same whatever the order of storing and whatever came again', async () => {
    const quotes = await readQuoteFiles();
    for (const batch of batchesOf(quotes, 1_000)) await storePrices(manager, batch);
    const inOrder = await computeQuoteStatistics(manager);
    expect(await computeQuoteStatistics(manager)).toEqual(inOrder);

    await manager.clear(Price);
    const withReplays = shuffled([...quotes, ...quotes.slice(0, 1_000)], 4);
    for (const batch of batchesOf(withReplays, 700)) await storePrices(manager, batch);
    expect(await computeQuoteStatistics(manager)).toEqual(inOrder);
  });

  it('leaves out what too few prices do not tell, and forgets symbols that are gone', async () => {
    const weekly = Array.from({ length: 20 }, (_, week) => ({
      symbol: 'WEEKLY',
      date: new Date(Date.UTC(2020, 0, 1 + 7 * week)).toISOString().slice(0, 10),
      close: week === 10 ? 1 : 2,
    }));
    await storePrices(manager, [{ symbol: 'ONE', date: '2020-01-01', close: 5 }, ...weekly]);
    expect(await computeQuoteStatistics(manager)).toMatchObject([
      {
        symbol: 'ONE',
        prices: 1,
        totalReturn: 0,
        movingAverage20: null,
        annualVolatility: null,
        maxDrawdown: 0,
      },
      {
        symbol: 'WEEKLY',
        periodsPerYear: 52,
        movingAverage20: 1.95,
        movingAverage50: null,
        maxDrawdown: 0.5,
      },
    ]);
    await manager.delete(Price, { symbol: 'ONE' });
    expect((await computeQuoteStatistics(manager)).map(({ symbol }) => symbol)).toEqual(['WEEKLY']);
    await manager.clear(Price);
    expect(await computeQuoteStatistics(manager)).toEqual([]);
  });

  it('may run several times at once', async () => {
    await storePrices(manager, (await readQuoteFiles()).slice(-560));
    for (let round = 0; round < 5; round++) {
      const all = await Promise.all(Array.from({ length: 4 }, () => computeQuoteStatistics(manager)));
      expect(all.map((statistics) => statistics.length)).toEqual([5, 5, 5, 5]);
    }
  });
});

const counts = async (): Promise<Record<string, number>> => {
  const rows = await manager.find(RepositoryActivity);
  return Object.fromEntries(rows.map(({ repository, event, count }) => [`${repository} ${event}`, count]));
};

const star = (messageId: string): ActivityToStore => ({
  messageId,
  activity: { repository: 'a/b', event: 'star', action: 'created', sender: 'mona' },
});

describe('storeActivity', () => {
  it('counts every example once, though every batch comes twice', async () => {
    const messages = loadWebhookPayloads().map((message, index) => ({
      messageId: `m-${index}`,
      activity: toActivity(message),
    }));
    const expected: Record<string, number> = {};
    for (const { activity } of messages) {
      const key = `${activity.repository} ${activity.event}`;
      expected[key] = (expected[key] ?? 0) + 1;
    }
    let counted = 0;
    for (const batch of batchesOf(messages, 50)) {
      counted += await storeActivity(manager, [...batch, ...batch]);
      counted += await storeActivity(manager, batch);
    }
    expect(counted).toBe(329);
    expect(await counts()).toEqual(expected);
    expect(await manager.count(WebhookDelivery)).toBe(329);
  });

  it('keeps what each message said', async () => {
    expect(await storeActivity(manager, [])).toBe(0);
    await storeActivity(manager, [star('d-1')]);
    expect(await manager.find(WebhookDelivery)).toEqual([
      {
        messageId: 'd-1',
        repository: 'a/b',
        event: 'star',
        action: 'created',
        sender: 'mona',
        countedAt: expect.any(Date),
      },
    ]);
  });

  it('forgets the message together with its count when the transaction ends badly', async () => {
    const failing = manager.transaction(async (transaction) => {
      await storeActivity(transaction, [star('d-1')]);
      throw new Error('crash');
    });
    await expect(failing).rejects.toThrow('crash');
    expect(await counts()).toEqual({});
    expect(await storeActivity(manager, [star('d-1')])).toBe(1);
  });

  it('counts once when the same messages come at once', async () => {
    const counted: number[] = [];
    await storeCrosswise(
      (round) => Array.from({ length: 400 }, (_, index) => star(`d-${round}-${index}`)),
      async (some) => counted.push(await storeActivity(manager, some)),
    );
    expect(counted.reduce((sum, one) => sum + one, 0)).toBe(5 * 400);
    expect(await counts()).toEqual({ 'a/b star': 5 * 400 });
  });
});
