import { Injectable, type Type } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { Worker } from '../core/worker.js';
import type { WorkerClass } from '../core/worker-definition.js';
import { className } from './class-name.js';
import type { Provider } from './decorated-class.js';
import { findDecorated, type DecoratedProvider } from './explored-providers.js';
import { sharedWorkerError } from './shared-worker.js';
import { WorkerFactory } from './worker-factory.js';
import { workerTypeMetadata, type WorkerTypeMetadata } from './worker-type.decorator.js';

/** Finds the classes that `@WorkerType` decorates among the providers, and registers them. */
@Injectable()
export class WorkerExplorer {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly factory: WorkerFactory,
  ) {}

  explore(): void {
    for (const found of findDecorated(this.discovery, '@WorkerType', workerTypeMetadata))
      this.register(found);
  }

  private register({ provider, decorated, metadata }: DecoratedProvider<WorkerTypeMetadata>): void {
    const { type, options } = metadata;
    refuseSingleton(type, provider, decorated);
    this.factory.add(type, provider.token, classOf(provider, decorated), options);
  }
}

/** What stands in for the class, as in tests, may be shared. */
function refuseSingleton(type: string, provider: Provider, decorated: Type<object>): void {
  const { metatype, isFactory, isTransient } = provider;
  if (isTransient || (!isFactory && metatype !== decorated)) return;
  throw sharedWorkerError(
    type,
    `@WorkerType makes ${className(decorated)} one, so remove @Injectable() from it, or give its factory scope: Scope.TRANSIENT`,
  );
}

/** The class whose methods say how the worker works: the provided one; the decorated one where that is not known yet. */
function classOf({ metatype, instance }: Provider, decorated: Type<object>): WorkerClass {
  const provided = (metatype ?? (instance as object).constructor) as WorkerClass;
  return provided.prototype instanceof Worker ? provided : decorated;
}
