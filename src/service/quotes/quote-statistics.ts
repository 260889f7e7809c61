import type { EntityManager } from 'typeorm';
import { QuoteStatistics } from './quote-statistics.entity.js';

/**
 * Computes the statistics of every symbol in `prices` anew, and replaces the rows of `quote_statistics` with
 * them in one transaction; readers see the old ones or the new ones. Since everything follows from the prices
 * in the order of their dates, neither the order in which they were stored nor a repetition changes a figure.
 *
 * With closes c₁ … cₙ of a symbol by date:
 * - total return: cₙ / c₁ − 1
 * - moving average: the mean of the latest 20 (50) closes; trading days or, for monthly prices, months
 * - annual volatility: the sample standard deviation of the log returns ln(cₖ / cₖ₋₁), times √(periods a
 *   year), as in
 *   J. C. Hull, "Options, Futures, and Other Derivatives", on estimating volatility from historical data
 * - periods a year: by the median distance of two dates; 252 trading days up to 4 days, 52 weeks up to 10,
 *   else 12 months
 * - maximum drawdown: the largest fall from the highest close so far, max(1 − cₖ / max(c₁ … cₖ))
 */
export async function computeQuoteStatistics(manager: EntityManager): Promise<QuoteStatistics[]> {
  return manager.transaction(async (transaction) => {
    // One computation at a time, and the later one sees the newer prices. Reading goes on.
    await transaction.query('LOCK TABLE quote_statistics IN SHARE ROW EXCLUSIVE MODE');
    await transaction.query('DELETE FROM quote_statistics');
    await transaction.query(INSERT_STATISTICS);
    return transaction.find(QuoteStatistics, { order: { symbol: 'ASC' } });
  });
}

// The aggregates of doubles are ordered: another order of adding would change their last digits.
const INSERT_STATISTICS = `
  WITH series AS (
    SELECT symbol, date, close,
           date - lag(date) OVER by_date AS gap_days,
           ln(close / lag(close) OVER by_date) AS log_return,
           max(close) OVER by_date AS highest_so_far,
           row_number() OVER (PARTITION BY symbol ORDER BY date DESC) AS age
    FROM prices
    WINDOW by_date AS (PARTITION BY symbol ORDER BY date)
  ), frequency AS (
    SELECT symbol,
           CASE WHEN median_gap <= 4 THEN 252 WHEN median_gap <= 10 THEN 52 ELSE 12 END AS periods_per_year
    FROM (
      SELECT symbol, coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY gap_days), 1) AS median_gap
      FROM series GROUP BY symbol
    ) AS gaps
  )
  INSERT INTO quote_statistics (
    symbol, prices, first_date, last_date, periods_per_year, total_return,
    moving_average_20, moving_average_50, annual_volatility, max_drawdown
  )
  SELECT symbol, count(*), min(date), max(date), periods_per_year,
         (array_agg(close ORDER BY date DESC))[1] / (array_agg(close ORDER BY date))[1] - 1,
         CASE WHEN count(*) >= 20 THEN avg(close ORDER BY date) FILTER (WHERE age <= 20) END,
         CASE WHEN count(*) >= 50 THEN avg(close ORDER BY date) FILTER (WHERE age <= 50) END,
         stddev_samp(log_return ORDER BY date) * sqrt(periods_per_year),
         max(1 - close / highest_so_far)
  FROM series JOIN frequency USING (symbol)
  GROUP BY symbol, periods_per_year`;
