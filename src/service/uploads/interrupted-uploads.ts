import { Injectable, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { JobProcess, type Upload } from '../../index.js';
import { TypeOrmUploadStore } from '../../typeorm.js';

/** The uploads whose work the end of the service cut short, as they stand then. */
@Injectable()
export class InterruptedUploads implements OnModuleInit, BeforeApplicationShutdown {
  private readonly ids = new Set<string>();
  private found: readonly Upload[] = [];

  constructor(
    private readonly jobs: JobProcess,
    private readonly store: TypeOrmUploadStore,
  ) {}

  /** Complete when the service closes its server. */
  get uploads(): readonly Upload[] {
    return this.found;
  }

  onModuleInit(): void {
    this.jobs.on('uploadEnded', ({ uploadId, status }) => {
      if (status === 'interrupted') this.ids.add(uploadId);
    });
  }

  /** The last moment at which the database is certain to be open. The work has ended by then when a signal came. */
  async beforeApplicationShutdown(): Promise<void> {
    const uploads = await Promise.all([...this.ids].map((id) => this.store.find(id)));
    this.found = uploads.filter((upload) => upload !== undefined);
  }
}
