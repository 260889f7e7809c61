import { readQuoteFiles } from './quote-files.js';
import type { Quote } from './quote.js';

/** A slice of the quotes; `next` is the cursor of the one after it, and missing after the last. */
export interface QuotePage {
  readonly items: readonly Quote[];
  readonly next: string | undefined;
}

/** A cursor that {@link pageAfter} never gave out. */
export class InvalidCursorError extends Error {
  override readonly name = 'InvalidCursorError';

  constructor(readonly cursor: string) {
    super(`cursor: expected the "next" of an earlier page, got ${JSON.stringify(cursor.slice(0, 80))}`);
  }
}

/**
 * Serves the quotes of the data files page by page, as a paged API does. The files are read at the first
 * call.
 */
export async function fetchQuotePage(cursor: string | undefined, limit: number): Promise<QuotePage> {
  return pageAfter(await loadQuotes(), cursor, limit);
}

let loadedQuotes: Promise<readonly Quote[]> | undefined;

function loadQuotes(): Promise<readonly Quote[]> {
  loadedQuotes ??= readQuoteFiles()
    .then(inPageOrder)
    .catch((error: unknown) => {
      loadedQuotes = undefined;
      throw error;
    });
  return loadedQuotes;
}

/** The order of all pages: by day, then by symbol. */
export function inPageOrder(quotes: readonly Quote[]): readonly Quote[] {
  return quotes.toSorted((a, b) => compare(positionOf(a), positionOf(b)));
}

/**
 * Up to `limit` quotes after the cursor's position. A cursor names the last quote served, not a count, so it
 * stays good when quotes are added or removed, and pages may change their size on the way.
 *
 * @param quotes in page order
 */
export function pageAfter(quotes: readonly Quote[], cursor: string | undefined, limit: number): QuotePage {
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new RangeError(`limit: expected a whole number from 1, got ${limit}`);
  }
  const start = cursor === undefined ? 0 : firstAfter(quotes, decodeCursor(cursor));
  const items = quotes.slice(start, start + limit);
  const last = items.at(-1);
  const hasMore = start + items.length < quotes.length;
  return { items, next: last && hasMore ? encodeCursor(positionOf(last)) : undefined };
}

/** Dates are of one length, so positions compare as text. */
function positionOf(quote: Quote): string {
  return `${quote.date} ${quote.symbol}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function encodeCursor(position: string): string {
  return Buffer.from(position).toString('base64url');
}

function decodeCursor(cursor: string): string {
  const position = Buffer.from(cursor, 'base64url').toString();
  if (!/^\d{4}-\d{2}-\d{2} ./.test(position) || encodeCursor(position) !== cursor) {
    throw new InvalidCursorError(cursor);
  }
  return position;
}

function firstAfter(quotes: readonly Quote[], position: string): number {
  let low = 0;
  let high = quotes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const quote = quotes[middle];
    if (quote && positionOf(quote) <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}
