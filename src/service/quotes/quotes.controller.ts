import { Controller, Get, HttpCode, Post } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { JobProcess, type CursorRun } from '../../index.js';
import { DAILY_QUOTES } from './quote-feed.js';
import { QuoteStatistics } from './quote-statistics.entity.js';

@Controller('quotes')
export class QuotesController {
  constructor(
    private readonly jobs: JobProcess,
    private readonly dataSource: DataSource,
  ) {}

  /** Reads the quotes now. */
  @Post('run')
  @HttpCode(202)
  run(): CursorRun {
    return this.jobs.processCursorData(DAILY_QUOTES);
  }

  @Get('statistics')
  statistics(): Promise<QuoteStatistics[]> {
    return this.dataSource.getRepository(QuoteStatistics).find({ order: { symbol: 'ASC' } });
  }
}
