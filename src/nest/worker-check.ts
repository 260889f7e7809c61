import { Injectable, type Type } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { Worker } from '../core/worker.js';
import { className } from './class-name.js';
import type { Provider } from './decorated-class.js';
import { providersByClass } from './explored-providers.js';
import { WorkerFactory } from './worker-factory.js';
import type { WorkerLog } from './worker-log.js';

/** Warns of workers that are listed among the providers, and that no item reaches as things stand. */
@Injectable()
export class WorkerCheck {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly factory: WorkerFactory,
  ) {}

  warnOfUnregistered(log: WorkerLog): void {
    const found = providersByClass(this.discovery, (provider) => this.unregisteredClass(provider));
    for (const workerClass of found.keys()) {
      const name = className(workerClass);
      log.warn(
        `${name} extends Worker, but is of no worker type: it gets no work until WorkerFactory.register('…', ${name}) ` +
          `is called. Decorate the class itself with @WorkerType('…') if that is not what is meant`,
        { worker: name },
      );
    }
  }

  private unregisteredClass({ token, metatype, isNotMetatype }: Provider): Type<object> | undefined {
    // A factory is a function as well, but no class.
    if (isNotMetatype || !(metatype!.prototype instanceof Worker)) return undefined;
    const isKnown = this.factory.isRegistered(token) || this.factory.isRegistered(metatype);
    return isKnown ? undefined : (metatype as Type<object>);
  }
}
