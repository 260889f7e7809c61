import { Inject, Injectable, type Type } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { findProblems, given, oneOf, refuseProblems, type Rules } from '../core/option-rules.js';
import { commonCursorRules, findMissing } from '../feeds/cursors/cursor-definition.js';
import type { CursorSource } from '../feeds/cursors/cursor-source.js';
import { JobProcess } from '../job-process.js';
import { className } from './class-name.js';
import { CronRegistrar } from './cron-registrar.js';
import { cursorJobMetadata, cursorJobSettingRules, type CursorJobOptions } from './cursor-job.decorator.js';
import { decoratedClass, type Provider } from './decorated-class.js';
import { refuseControllers } from './refuse-controllers.js';
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
    refuseControllers(this.discovery, '@CursorJob', (target) => cursorJobMetadata(target) !== undefined);
    const seen = new Set<Type<object>>();
    for (const provider of this.discovery.getProviders()) {
      const decorated = decoratedClass(provider, (target) => cursorJobMetadata(target) !== undefined);
      if (decorated === undefined || seen.has(decorated)) continue;
      seen.add(decorated);
      this.register(provider, decorated);
    }
  }

  private register(provider: Provider, decorated: Type<object>): void {
    const options = cursorJobMetadata(decorated)!;
    refuseProblems(`@CursorJob on ${className(decorated)}`, this.problems(provider, decorated, options));
    const { name, worker } = options;
    // The provider may not have been made yet; the source is asked for when it is read.
    const source: CursorSource = {
      fetchPage: (cursor, limit, signal) => sourceOf(provider).fetchPage(cursor, limit, signal),
      onRunCompleted: (result, signal) => sourceOf(provider).onRunCompleted?.(result, signal),
    };
    const settings = { ...options, ...given(this.moduleOptions.cursors?.[name] ?? {}) };
    const { cron, timeZone, pageSize, callTimeoutMs } = settings;
    this.jobs.registerCursorJob({ name, type: worker, pageSize, callTimeoutMs, source });
    if (cron !== undefined) this.crons.declare({ name, cron, timeZone });
  }

  private problems(provider: Provider, decorated: Type<object>, options: CursorJobOptions): string[] {
    const rulesHere = rules(this.jobs.types);
    const problems = [
      ...findProblems(options, rulesHere),
      ...findMissing(options, rulesHere, ['name', 'worker']),
    ];
    if (typeof methodsOf(provider, decorated).fetchPage !== 'function')
      problems.push('expected a method fetchPage(cursor, limit), got none');
    if (!provider.isDependencyTreeStatic() || provider.isTransient) {
      problems.push(
        'scope: expected a provider that lives as long as the application, got a request-scoped or transient one',
      );
    }
    return problems;
  }
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
