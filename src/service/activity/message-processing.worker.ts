import { DataSource } from 'typeorm';
import { Worker, WorkerType } from '../../index.js';
import { storeActivity, type ActivityToStore } from './store-activity.js';

/** Counts what happens in repositories; a message that comes again is not counted again. */
@WorkerType('message-processing', { batchSize: 50, timeoutMs: 30_000 })
export class MessageProcessingWorker extends Worker<ActivityToStore> {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  override async processBatch(activities: readonly ActivityToStore[]): Promise<void> {
    await storeActivity(this.dataSource.manager, activities);
  }
}
