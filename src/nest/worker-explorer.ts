import { Injectable, type Type } from '@nestjs/common';
import { DiscoveryService, ModuleRef } from '@nestjs/core';
import type { Worker } from '../core/worker.js';
import type { WorkerClass } from '../core/worker-definition.js';
import { WorkerFactory } from './worker-factory.js';
import { workerTypeMetadata } from './worker-type.decorator.js';

type Provider = ReturnType<DiscoveryService['getProviders']>[number];

/** Finds the classes that `@WorkerType` decorates among the providers, and registers them. */
@Injectable()
export class WorkerExplorer {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly moduleRef: ModuleRef,
    private readonly factory: WorkerFactory,
  ) {}

  explore(): void {
    const seen = new Set<unknown>();
    for (const provider of this.discovery.getProviders()) {
      const { token } = provider;
      // A class that several modules provide is one worker type all the same.
      if (typeof token !== 'function' || seen.has(token)) continue;
      const metadata = workerTypeMetadata(token);
      if (metadata === undefined) continue;
      seen.add(token);
      this.factory.add(metadata.type, classOf(provider), metadata.options, () =>
        this.moduleRef.resolve(token as Type<Worker<never>>, undefined, { strict: false }),
      );
    }
  }
}

/** The class that is really provided: tests may have overridden the decorated one by another class or by an instance. */
function classOf(provider: Provider): WorkerClass {
  const provided = provider.metatype ?? (provider.instance as object).constructor;
  return provided as WorkerClass;
}
