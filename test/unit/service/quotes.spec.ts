import { beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import {
  INDEX_SYMBOL,
  parseIndexFile,
  parseSharesFile,
  readQuoteFiles,
} from '../../../src/service/quotes/quote-files.js';
import {
  fetchQuotePage,
  inPageOrder,
  InvalidCursorError,
  pageAfter,
  type QuotePage,
} from '../../../src/service/quotes/quote-pages.js';
import type { Quote } from '../../../src/service/quotes/quote.js';

const keyOf = ({ symbol, date }: Quote): string => `${symbol} ${date}`;

describe('the quote files', () => {
  let quotes: Quote[];
  beforeAll(async () => {
    quotes = await readQuoteFiles();
  });

  it('hold 5,105 days of the index and 560 months of five shares', () => {
    const counts: Record<string, number> = {};
    for (const { symbol } of quotes) counts[symbol] = (counts[symbol] ?? 0) + 1;
    expect(counts).toEqual({ [INDEX_SYMBOL]: 5_105, AAPL: 123, AMZN: 123, GOOG: 68, IBM: 123, MSFT: 123 });
    expect(new Set(quotes.map(keyOf)).size).toBe(5_665);
  });

  it('are read as they stand', () => {
    expect(quotes[0]).toEqual({
      symbol: INDEX_SYMBOL,
      date: '2000-01-03',
      open: 1469.25,
      high: 1478,
      low: 1438.359985,
      close: 1455.219971,
      volume: 931_800_000,
    });
    expect(quotes.at(-1)).toEqual({ symbol: 'AAPL', date: '2010-03-01', close: 223.02 });
  });

  it('have real dates and prices only', () => {
    const wrong = quotes.filter(
      ({ date, close }) => new Date(date).toISOString().slice(0, 10) !== date || !(close > 0),
    );
    expect(wrong).toEqual([]);
  });

  it('say what is wrong with a file', () => {
    expect(() => parseSharesFile('symbol,date,price\nX,Foo 1 2000,3\n')).toThrow(
      'date: expected YYYY-MM-DD or a day as Jan 1 2000, got "Foo 1 2000"',
    );
    expect(() => parseSharesFile('symbol,date,price\nX,Feb 1 2000,\n')).toThrow(
      'price: expected a number, got ""',
    );
    expect(() => parseIndexFile('date,open,high,low\n2000-01-03,1,2,3\n')).toThrow(
      'close: expected a number, got ""',
    );
  });
});

async function readAllPages(limit: number): Promise<{ pages: number; items: Quote[] }> {
  const items: Quote[] = [];
  let cursor: string | undefined;
  let pages = 0;
  do {
    const page: QuotePage = await fetchQuotePage(cursor, limit);
    if (page.items.length > limit) throw new Error(`asked for ${limit}, got ${page.items.length}`);
    items.push(...page.items);
    cursor = page.next;
    pages++;
  } while (cursor !== undefined);
  return { pages, items };
}

describe('fetchQuotePage', () => {
  it.each([500, 1, 5_664, 5_665, 5_666])(
    'serves every quote once, in one order, %i a page',
    async (limit) => {
      const { pages, items } = await readAllPages(limit);
      expect(pages).toBe(Math.ceil(5_665 / limit));
      expect(items).toEqual(inPageOrder(await readQuoteFiles()));
      expect(new Set(items.map(keyOf)).size).toBe(5_665);
    },
  );

  it('gives the same page for the same cursor', async () => {
    const { next } = await fetchQuotePage(undefined, 1_000);
    expect(await fetchQuotePage(next, 7)).toEqual(await fetchQuotePage(next, 7));
  });

  it.each([0, -1, 1.5, NaN, Infinity])('refuses %p a page', async (limit) => {
    await expect(fetchQuotePage(undefined, limit)).rejects.toThrow(
      `limit: expected a whole number from 1, got ${limit}`,
    );
  });

  it.each(['', 'abc', '🙈', '2000-01-03 X', Buffer.from('2000 X').toString('base64url')])(
    'refuses %p for a cursor',
    async (cursor) => {
      const error = await fetchQuotePage(cursor, 10).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(InvalidCursorError);
    },
  );
});

describe('pageAfter', () => {
  const day = fc.date({ min: new Date('2000-01-01'), max: new Date('2000-01-31'), noInvalidDate: true });
  const quote = fc.record({
    symbol: fc.constantFrom('A', 'AB', 'B', 'é', '山'),
    date: day.map((date) => date.toISOString().slice(0, 10)),
    close: fc.constant(1),
  });
  const someQuotes = fc.uniqueArray(quote, { selector: keyOf, maxLength: 60 });
  const limits = fc.infiniteStream(fc.integer({ min: 1, max: 20 }));

  it('serves every quote once, whatever sizes the pages have and whatever is added on the way', () => {
    fc.assert(
      fc.property(someQuotes, someQuotes, limits, (quotes, added, sizes) => {
        const known = new Set(quotes.map(keyOf));
        const more = inPageOrder([...quotes, ...added.filter((one) => !known.has(keyOf(one)))]);
        const served: Quote[] = [];
        let source = inPageOrder(quotes);
        let cursor: string | undefined;
        do {
          const page = pageAfter(source, cursor, sizes.next().value as number);
          served.push(...page.items);
          cursor = page.next;
          source = more;
        } while (cursor !== undefined);
        expect(new Set(served.map(keyOf)).size).toBe(served.length);
        expect(served).toEqual(inPageOrder(served));
        for (const one of quotes) expect(served.map(keyOf)).toContain(keyOf(one));
      }),
    );
  });
});
