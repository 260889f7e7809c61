import { DataSource } from 'typeorm';
import { CursorJob, type CursorSource, type Page } from '../../index.js';
import { fetchQuotePage } from './quote-pages.js';
import { computeQuoteStatistics } from './quote-statistics.js';
import type { Quote } from './quote.js';

/** Name of the cursor job that reads the quotes. */
export const DAILY_QUOTES = 'daily-quotes';

/** Reads the quotes page by page; when all are stored, computes the statistics. Its cron is set by the configuration. */
@CursorJob({ name: DAILY_QUOTES, worker: 'financial-data' })
export class QuoteFeed implements CursorSource<Quote, string> {
  constructor(private readonly dataSource: DataSource) {}

  fetchPage(cursor: string | undefined, limit: number): Promise<Page<Quote, string>> {
    return fetchQuotePage(cursor, limit);
  }

  async onRunCompleted(): Promise<void> {
    await computeQuoteStatistics(this.dataSource.manager);
  }
}
