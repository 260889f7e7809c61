import { DataSource } from 'typeorm';
import { Worker, WorkerType } from '../../index.js';
import type { Quote } from './quote.js';
import { storePrices } from './store-prices.js';

/** Stores prices; the same price again changes nothing, so that pages may come twice and in any order. */
@WorkerType('financial-data', { batchSize: 250, timeoutMs: 30_000 })
export class FinancialDataWorker extends Worker<Quote> {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  override async processBatch(quotes: readonly Quote[]): Promise<void> {
    await storePrices(this.dataSource.manager, quotes);
  }
}
