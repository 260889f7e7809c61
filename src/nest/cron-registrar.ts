import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { SchedulerRegistry } from '@nestjs/schedule';
import { CronJob } from 'cron';
import { InvalidOptionsError } from '../core/errors.js';
import { toError } from '../core/to-error.js';
import { JobProcess } from '../job-process.js';

/** A cursor job's cron, as it was declared. */
export interface DeclaredCron {
  /** Name of the cursor job. */
  readonly name: string;
  readonly cron: string;
  readonly timeZone: string | undefined;
}

/** Prefix of the names in the `SchedulerRegistry`. */
const REGISTRY_PREFIX = 'cursor-job:';

/**
 * Registers the crons of cursor jobs in the application's own `SchedulerRegistry`. This module does not import
 * `ScheduleModule.forRoot()`: a second one would make each `@Cron` of the application fire twice.
 */
@Injectable()
export class CronRegistrar {
  private readonly declared: DeclaredCron[] = [];

  constructor(
    private readonly moduleRef: ModuleRef,
    private readonly jobs: JobProcess,
  ) {}

  declare(cron: DeclaredCron): void {
    this.declared.push(cron);
  }

  /** @throws InvalidOptionsError when a cron was declared, and the application has no scheduler or it can't read the cron */
  start(): void {
    if (this.declared.length === 0) return;
    const registry = this.registry();
    const cronJobs = this.declared.map((declared) => [declared.name, this.makeCronJob(declared)] as const);
    // None starts before all could be read: nobody would stop it when the start of the application fails.
    for (const [name, cronJob] of cronJobs) {
      registry.addCronJob(REGISTRY_PREFIX + name, cronJob);
      cronJob.start();
    }
  }

  /** Takes back what `start` did: the application could not be started after all. */
  stop(): void {
    if (this.declared.length === 0) return;
    const registry = this.registry();
    for (const { name } of this.declared) registry.deleteCronJob(REGISTRY_PREFIX + name);
  }

  private registry(): SchedulerRegistry {
    try {
      return this.moduleRef.get(SchedulerRegistry, { strict: false });
    } catch {
      const { name, cron } = this.declared[0]!;
      throw new InvalidOptionsError(`Cursor job ${JSON.stringify(name)}`, [
        `cron: ${JSON.stringify(cron)} needs a scheduler; add ScheduleModule.forRoot() of @nestjs/schedule to the imports of your root module`,
      ]);
    }
  }

  private makeCronJob({ name, cron, timeZone }: DeclaredCron): CronJob {
    const onTick = () => {
      if (!this.jobs.isClosed) this.jobs.processCursorData(name, 'cron');
    };
    try {
      const cronJob = CronJob.from({ cronTime: cron, timeZone, onTick, start: false });
      // The start looks for the next day that it names, and fails when there is none, as the 31st of February.
      cronJob.nextDate();
      return cronJob;
    } catch (error) {
      const got = [cron, ...(timeZone === undefined ? [] : [timeZone])].map((text) => JSON.stringify(text));
      const [why] = toError(error).message.split('\n');
      throw new InvalidOptionsError(`Cursor job ${JSON.stringify(name)}`, [
        `cron: expected a cron expression and a time zone that exist, got ${got.join(' in ')} (${why})`,
      ]);
    }
  }
}
