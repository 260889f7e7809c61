import { Controller, Get } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { RepositoryActivity } from './activity.entity.js';

const REPOSITORIES_SHOWN = 100;

@Controller('activity')
export class ActivityController {
  constructor(private readonly dataSource: DataSource) {}

  /** What happened most. */
  @Get()
  list(): Promise<RepositoryActivity[]> {
    return this.dataSource
      .getRepository(RepositoryActivity)
      .find({ order: { count: 'DESC', repository: 'ASC', event: 'ASC' }, take: REPOSITORIES_SHOWN });
  }
}
