import { Inject, Injectable, type Type } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { describe } from '../core/describe.js';
import { findMissing, findProblems, given, oneOf, refuseProblems, type Rules } from '../core/option-rules.js';
import { commonCursorRules } from '../feeds/cursors/cursor-definition.js';
import type { CursorSource } from '../feeds/cursors/cursor-source.js';
import { JobProcess } from '../job-process.js';
import { className } from './class-name.js';
import { CronRegistrar } from './cron-registrar.js';
import {
  cursorJobMetadata,
  cursorJobSettingRules,
  type CursorJobOptions,
  type CursorJobSettings,
} from './cursor-job.decorator.js';
import type { Provider } from './decorated-class.js';
import { findDecorated, scopeProblems, type DecoratedProvider } from './explored-providers.js';
import { WORKER_MODULE_OPTIONS } from './worker-module-definition.js';
import type { WorkerModuleOptions } from './worker-module-options.js';

const rules = (workerTypes: readonly string[]): Rules<CursorJobOptions> => ({
  name: commonCursorRules.name,
  worker: oneOf('a worker type', workerTypes),
  ...cursorJobSettingRules,
});

/** Finds the classes that `@CursorJob` decorates among the providers, and registers them. */
@Injectable()
export class CursorExplorer {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly jobs: JobProcess,
    private readonly crons: CronRegistrar,
    @Inject(WORKER_MODULE_OPTIONS) private readonly moduleOptions: WorkerModuleOptions,
  ) {}

  explore(): void {
    for (const found of findDecorated(this.discovery, '@CursorJob', cursorJobMetadata)) this.register(found);
  }

  private register({ provider, decorated, metadata }: DecoratedProvider<CursorJobOptions>): void {
    const { name, worker } = metadata;
    const settings = { ...metadata, ...given(this.moduleOptions.cursors?.[name] ?? {}) };
    refuseProblems(`@CursorJob on ${className(decorated)}`, [
      ...this.problems(metadata),
      ...timeZoneProblems(settings),
      ...sourceProblems(provider, decorated),
    ]);
    // The provider may not have been made yet; the source is asked for when it is read.
    const source: CursorSource = {
      fetchPage: (cursor, limit, signal) => sourceOf(provider).fetchPage(cursor, limit, signal),
      onRunCompleted: (result, signal) => sourceOf(provider).onRunCompleted?.(result, signal),
    };
    const { cron, timeZone, pageSize, callTimeoutMs } = settings;
    this.jobs.registerCursorJob({ name, type: worker, pageSize, callTimeoutMs, source });
    if (cron !== undefined && cron !== false) this.crons.declare({ name, cron, timeZone });
  }

  private problems(options: CursorJobOptions): string[] {
    const rulesHere = rules(this.jobs.types);
    return [...findProblems(options, rulesHere), ...findMissing(options, rulesHere, ['name', 'worker'])];
  }
}

/** Configuration may give the cron of a time zone that the decorator names, and the other way round. */
function timeZoneProblems({ cron, timeZone }: CursorJobSettings): string[] {
  if (timeZone === undefined || cron !== undefined) return [];
  return [
    `timeZone: expected a cron with it, of @CursorJob or of forRoot({ cursors }), got ${describe(timeZone)} alone`,
  ];
}

function sourceProblems(provider: Provider, decorated: Type<object>): string[] {
  const problems: string[] = [];
  if (typeof methodsOf(provider, decorated).fetchPage !== 'function')
    problems.push('expected a method fetchPage(cursor, limit), got none');
  return [...problems, ...scopeProblems(provider)];
}

/** What has the methods of the source, which itself may not have been made yet. */
function methodsOf(
  { metatype, instance, isNotMetatype }: Provider,
  decorated: Type<object>,
): Partial<CursorSource> {
  if (metatype === null) return instance as CursorSource;
  return (isNotMetatype ? decorated : metatype).prototype as Partial<CursorSource>;
}

function sourceOf(provider: Provider): CursorSource {
  return provider.instance as CursorSource;
}
