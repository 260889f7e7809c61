import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { refuseProblems } from '../core/option-rules.js';
import { JobProcess } from '../job-process.js';
import { CronRegistrar } from './cron-registrar.js';
import { CursorExplorer } from './cursor-explorer.js';
import { logEvents, logReport } from './event-logger.js';
import { MessageExplorer } from './message-explorer.js';
import { WorkerExplorer } from './worker-explorer.js';
import { createWorkerLog } from './worker-log.js';
import { WORKER_MODULE_OPTIONS } from './worker-module-definition.js';
import type { WorkerModuleOptions } from './worker-module-options.js';

/**
 * Ties the job process to the life of the application:
 *
 * - made with the providers: worker types, cursor jobs and message listeners are known from then on;
 * - `onApplicationBootstrap`: workers start, and crons fire;
 * - `beforeApplicationShutdown`: feeds stop, running work finishes, what is left is handed back;
 * - `onApplicationShutdown`: the module's own connections close, as those of TypeORM and of Nest's clients do.
 */
@Injectable()
export class WorkerLifecycle
  implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  private reportTimer: NodeJS.Timeout | undefined = undefined;
  private readonly closedCallbacks: (() => void)[] = [];

  constructor(
    private readonly moduleRef: ModuleRef,
    private readonly jobs: JobProcess,
    private readonly crons: CronRegistrar,
    @Inject(WORKER_MODULE_OPTIONS) private readonly options: WorkerModuleOptions,
    workers: WorkerExplorer,
    cursors: CursorExplorer,
    messages: MessageExplorer,
  ) {
    workers.explore();
    cursors.explore();
    messages.explore();
  }

  async onApplicationBootstrap(): Promise<void> {
    this.refuseUnknownNames();
    const log = await createWorkerLog(this.moduleRef);
    logEvents(this.jobs, log);
    if (process.env.NODE_ENV === 'production') {
      log.warn('Work is kept in memory: what waits or runs is lost when the process is killed', {});
    }
    this.crons.start();
    this.jobs.start();
    const { reportIntervalMs = 60_000 } = this.options;
    if (reportIntervalMs > 0) {
      this.reportTimer = setInterval(() => logReport(this.jobs, log), reportIntervalMs).unref();
    }
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.jobs.shutdown();
    clearInterval(this.reportTimer);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.jobs.cursorCache.close();
    for (const callback of this.closedCallbacks.splice(0)) callback();
  }

  /** Calls `callback` when the application has closed what the module holds. */
  onceClosed(callback: () => void): void {
    this.closedCallbacks.push(callback);
  }

  /** A misspelt name in the options would set nothing, and nobody would notice. */
  private refuseUnknownNames(): void {
    const { types, cursorJobs } = this.jobs;
    const { workers = {}, cursors = {} } = this.options;
    refuseProblems('WorkerModule', [
      ...unknownNames('workers', 'a worker type', Object.keys(workers), types),
      ...unknownNames('cursors', 'the name of a cursor job', Object.keys(cursors), cursorJobs),
    ]);
  }
}

function unknownNames(
  option: string,
  expected: string,
  names: readonly string[],
  known: readonly string[],
): string[] {
  return names
    .filter((name) => !known.includes(name))
    .map(
      (name) =>
        `${option}.${name}: expected ${expected} (known: ${known.join(', ')}), got ${JSON.stringify(name)}`,
    );
}
