import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { findProblems, refuseProblems, text, wholeNumber, type Rules } from '../core/option-rules.js';
import type { CursorSource } from '../feeds/cursors/cursor-source.js';
import { JobProcess } from '../job-process.js';
import { CronRegistrar } from './cron-registrar.js';
import { cursorJobMetadata, type CursorJobOptions } from './cursor-job.decorator.js';

type Provider = ReturnType<DiscoveryService['getProviders']>[number];

const rules: Rules<CursorJobOptions> = {
  name: text,
  worker: text,
  cron: text,
  timeZone: text,
  pageSize: wholeNumber(1),
};

/** Finds the classes that `@CursorJob` decorates among the providers, and registers them. */
@Injectable()
export class CursorExplorer {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly jobs: JobProcess,
    private readonly crons: CronRegistrar,
  ) {}

  explore(): void {
    const seen = new Set<unknown>();
    for (const provider of this.discovery.getProviders()) {
      const { token } = provider;
      if (typeof token !== 'function' || seen.has(token)) continue;
      const options = cursorJobMetadata(token);
      if (options === undefined) continue;
      seen.add(token);
      this.register(provider, options);
    }
  }

  private register(provider: Provider, options: CursorJobOptions): void {
    const { name, worker, cron, timeZone, pageSize = 500 } = options;
    const className = (provider.token as { name: string }).name;
    refuseProblems(`@CursorJob on ${className}`, this.problems(provider, options));
    // The provider may not have been made yet; the source is asked for when it is read.
    const source: CursorSource = {
      fetchPage: (cursor, limit, signal) => sourceOf(provider).fetchPage(cursor, limit, signal),
      onRunCompleted: (result) => sourceOf(provider).onRunCompleted?.(result),
    };
    this.jobs.registerCursorJob({ name, type: worker, pageSize, source });
    if (cron !== undefined) this.crons.declare({ name, cron, timeZone });
  }

  private problems(provider: Provider, options: CursorJobOptions): string[] {
    const problems = findProblems(options, rules);
    if (options.name === undefined) problems.push('name: expected a text that is not empty, got undefined');
    if (options.worker === undefined) problems.push('worker: expected a worker type, got undefined');
    const { prototype } = (provider.metatype ?? (provider.instance as object).constructor) as {
      prototype: Partial<CursorSource>;
    };
    if (typeof prototype.fetchPage !== 'function')
      problems.push('expected a method fetchPage(cursor, limit), got none');
    if (!provider.isDependencyTreeStatic()) {
      problems.push(
        'scope: expected a provider that lives as long as the application, got a request-scoped or transient one',
      );
    }
    return problems;
  }
}

function sourceOf(provider: Provider): CursorSource {
  return provider.instance as CursorSource;
}
