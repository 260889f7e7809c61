import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { oneOf, refuseProblems } from '../core/option-rules.js';
import { resolveProcessOptions } from '../core/options.js';
import { JobProcess } from '../job-process.js';
import { CronRegistrar } from './cron-registrar.js';
import { CursorExplorer } from './cursor-explorer.js';
import { DoorCheck } from './door-check.js';
import { logEvents } from './event-logger.js';
import { shutDownAndLog } from './logged-shutdown.js';
import { MessageExplorer } from './message-explorer.js';
import { MicroserviceCheck } from './microservice-check.js';
import { nearName } from './near-name.js';
import { ReportLogger } from './report-logger.js';
import { WorkerCheck } from './worker-check.js';
import { WorkerExplorer } from './worker-explorer.js';
import { createWorkerLog, type WorkerLog } from './worker-log.js';
import { WORKER_MODULE_OPTIONS } from './worker-module-definition.js';
import { splitOptions, type WorkerModuleOptions } from './worker-module-options.js';

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
  private log: Promise<WorkerLog> | undefined = undefined;
  private reportTimer: NodeJS.Timeout | undefined = undefined;
  private workFinished: Promise<void> | undefined = undefined;

  constructor(
    private readonly moduleRef: ModuleRef,
    private readonly jobs: JobProcess,
    private readonly crons: CronRegistrar,
    private readonly doors: DoorCheck,
    private readonly microservices: MicroserviceCheck,
    private readonly workerClasses: WorkerCheck,
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
    this.doors.refuseUnknownTypes();
    const log = await this.openLog();
    this.workerClasses.warnOfUnregistered(log);
    // A signal may have come while the application started.
    if (!this.jobs.isClosed) await this.startWork(log);
    this.startReports(log);
  }

  private async startWork(log: WorkerLog): Promise<void> {
    // What is wrong with a cron ends the start, before anything runs that nobody would stop then.
    this.crons.start();
    try {
      await this.jobs.start();
    } catch (error) {
      this.crons.stop();
      throw error;
    }
    // While it is developed, an application may lose what it likes.
    if (this.jobs.isDurable || process.env.NODE_ENV === 'production') {
      for (const risk of await this.jobs.findRisks()) log.warn(risk, {});
    }
    this.microservices.start(log);
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.microservices.stop();
    await this.finishWork();
    clearInterval(this.reportTimer);
  }

  /** Lets work finish, before the application closes or as a part of that. A second call returns the same promise. */
  finishWork(): Promise<void> {
    this.workFinished ??= this.shutDown();
    return this.workFinished;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.jobs.cursorCache.close();
  }

  private async shutDown(): Promise<void> {
    const log = await this.openLog();
    await shutDownAndLog(this.jobs, log, resolveProcessOptions(splitOptions(this.options).process));
  }

  /** At the start; at the end where that was never reached, as items may have been submitted by then all the same. */
  private openLog(): Promise<WorkerLog> {
    this.log ??= createWorkerLog(this.moduleRef).then((log) => {
      logEvents(this.jobs, log);
      return log;
    });
    return this.log;
  }

  private startReports(log: WorkerLog): void {
    const { reportIntervalMs = 60_000 } = this.options;
    if (reportIntervalMs === 0) return;
    const reports = new ReportLogger(this.jobs, log);
    this.reportTimer = setInterval(() => reports.write(), reportIntervalMs).unref();
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
  const rule = oneOf(expected, known);
  return names.flatMap((name) => {
    const problem = rule(name);
    if (problem === undefined) return [];
    const near = nearName(name, known);
    const meant = near === undefined ? '' : ` (did you mean ${JSON.stringify(near)}?)`;
    return [`${option}.${name}: ${problem}, got ${JSON.stringify(name)}${meant}`];
  });
}
