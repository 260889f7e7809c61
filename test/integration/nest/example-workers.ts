import { Injectable } from '@nestjs/common';
import { UnrecoverableError, Worker, WorkerType, type BatchContext } from '../../../src/index.js';

/** What has been sent. */
@Injectable()
export class Outbox {
  readonly sent: unknown[] = [];
}

/** Sends one address after the other. */
@WorkerType('mail', { retry: { limit: 0 } })
export class MailWorker extends Worker<string> {
  constructor(readonly outbox: Outbox) {
    super();
  }

  override processItem(address: string) {
    if (address === '') throw new UnrecoverableError('expected an address');
    this.outbox.sent.push(address);
  }
}

/** Works in batches, and keeps their sizes. */
@WorkerType('import', { batchSize: 4 })
export class ImportWorker extends Worker<number> {
  static readonly sizes: number[] = [];
  override processBatch(_rows: readonly number[], context: BatchContext) {
    ImportWorker.sizes.push(context.size);
  }
}

/** Options of the module for a log without reports. */
export const quiet = { reportIntervalMs: 0 } as const;
