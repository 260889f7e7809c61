import type { EntityManager } from 'typeorm';
import type { Quote } from './quote.js';

/**
 * Stores quotes in one statement and returns how many rows it wrote. A quote of a symbol and day that is
 * there already takes its place; where a call has two of them, the later one wins. So the same quotes again
 * change nothing, and write nothing.
 */
export async function storePrices(manager: EntityManager, quotes: readonly Quote[]): Promise<number> {
  if (quotes.length === 0) return 0;
  const [{ written }] = await manager.query<[{ written: number }]>(STORE_PRICES, [JSON.stringify(quotes)]);
  return written;
}

// Rows go in by key: two calls that share keys then wait for each other instead of locking crosswise.
const STORE_PRICES = `
  WITH input AS (
    SELECT quote.*, element.position
    FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS element (value, position),
         jsonb_to_record(element.value) AS quote (
           symbol text, date date, open float8, high float8, low float8, close float8, volume float8
         )
  ), written AS (
    INSERT INTO prices AS price (symbol, date, open, high, low, close, volume)
    SELECT DISTINCT ON (symbol, date) symbol, date, open, high, low, close, volume
    FROM input
    ORDER BY symbol, date, position DESC
    ON CONFLICT (symbol, date) DO UPDATE SET
      open = excluded.open, high = excluded.high, low = excluded.low,
      close = excluded.close, volume = excluded.volume
    WHERE (price.open, price.high, price.low, price.close, price.volume) IS DISTINCT FROM
          (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume)
    RETURNING 1
  )
  SELECT count(*)::int AS written FROM written`;
