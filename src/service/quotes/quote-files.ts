import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parse } from 'csv-parse/sync';
import type { Quote } from './quote.js';

/** The symbol of the index in `sp500-2000.csv`, which names none. */
export const INDEX_SYMBOL = 'SPX';

/**
 * The quotes of the `vega-datasets` package: the S&P 500 index for each trading day from 2000 to April 2020,
 * and the prices of five shares on the first of each month from 2000 to March 2010. The index has no
 * dividends, so its adjusted close says nothing that its close does not, and is left out.
 */
export async function readQuoteFiles(): Promise<Quote[]> {
  const folder = join(packageFolder('vega-datasets'), 'data');
  const [index, shares] = await Promise.all(
    ['sp500-2000.csv', 'stocks.csv'].map((name) => readFile(join(folder, name), 'utf8')),
  );
  return [...parseIndexFile(index ?? ''), ...parseSharesFile(shares ?? '')];
}

/** Columns `date,open,high,low,close,adjclose,volume`, dates as `2000-01-03`. */
export function parseIndexFile(text: string): Quote[] {
  return records(text).map((cells) => ({
    symbol: INDEX_SYMBOL,
    date: isoDay(cells['date']),
    open: number('open', cells['open']),
    high: number('high', cells['high']),
    low: number('low', cells['low']),
    close: number('close', cells['close']),
    volume: number('volume', cells['volume']),
  }));
}

/** Columns `symbol,date,price`, dates as `Jan 1 2000`. */
export function parseSharesFile(text: string): Quote[] {
  return records(text).map((cells) => ({
    symbol: cells['symbol'] ?? '',
    date: isoDay(cells['date']),
    close: number('price', cells['price']),
  }));
}

function records(text: string): Record<string, string>[] {
  return parse(text, { columns: true, skip_empty_lines: true });
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function isoDay(cell = ''): string {
  if (/^\d{4}-\d{2}-\d{2}$/.test(cell)) return cell;
  const [, name = '', day = '', year = ''] = /^(\w{3}) (\d{1,2}) (\d{4})$/.exec(cell) ?? [];
  const month = MONTHS.indexOf(name) + 1;
  if (month === 0) {
    throw new Error(`date: expected YYYY-MM-DD or a day as Jan 1 2000, got ${JSON.stringify(cell)}`);
  }
  return `${year}-${String(month).padStart(2, '0')}-${day.padStart(2, '0')}`;
}

function number(column: string, cell = ''): number {
  const value = Number(cell);
  if (cell.trim() === '' || !Number.isFinite(value)) {
    throw new Error(`${column}: expected a number, got ${JSON.stringify(cell)}`);
  }
  return value;
}

/** The folder of an installed package that does not export its package.json or its data. */
function packageFolder(name: string): string {
  const entry = createRequire(import.meta.url).resolve(name);
  const folder = join('node_modules', name);
  const at = entry.lastIndexOf(folder);
  if (at === -1) throw new Error(`${name}: expected it below node_modules, got ${dirname(entry)}`);
  return entry.slice(0, at + folder.length);
}
