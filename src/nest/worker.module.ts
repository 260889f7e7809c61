import { Module, type DynamicModule, type Provider } from '@nestjs/common';
import { DiscoveryModule, ModuleRef, ModulesContainer } from '@nestjs/core';
import { InvalidOptionsError } from '../core/errors.js';
import { WorkerPool } from '../core/worker-pool.js';
import { JOB_PROCESS_SETUP, JobProcess, type JobProcessSetup } from '../job-process.js';
import { CronRegistrar } from './cron-registrar.js';
import { CursorExplorer } from './cursor-explorer.js';
import { DoorCheck } from './door-check.js';
import { MessageExplorer } from './message-explorer.js';
import { MicroserviceCheck } from './microservice-check.js';
import { refuseSecondImport } from './second-import.js';
import { WorkerCheck } from './worker-check.js';
import { WorkerExplorer } from './worker-explorer.js';
import { WorkerFactory } from './worker-factory.js';
import { WorkerLifecycle } from './worker-lifecycle.js';
import {
  ConfigurableModuleClass,
  MODULE_OPTIONS_TOKEN,
  WORKER_MODULE_OPTIONS,
  type ASYNC_OPTIONS_TYPE,
  type OPTIONS_TYPE,
} from './worker-module-definition.js';
import { checkAsyncArgument, checkArgument } from './worker-module-argument.js';
import { checkModuleOptions, splitOptions, type WorkerModuleOptions } from './worker-module-options.js';
import { WorkerTypeDoor } from './worker-type-door.js';
import { getWorkerTypeToken, typesToInject } from './worker-type.decorator.js';

const providers: Provider[] = [
  // Those of forRoot and forRootAsync take its place.
  { provide: MODULE_OPTIONS_TOKEN, useFactory: refuseBareImport, inject: [ModulesContainer] },
  {
    provide: WORKER_MODULE_OPTIONS,
    useFactory: checkImport,
    inject: [ModulesContainer, MODULE_OPTIONS_TOKEN],
  },
  { provide: JOB_PROCESS_SETUP, useFactory: toSetup, inject: [WORKER_MODULE_OPTIONS] },
  { provide: JobProcess, useFactory: makeJobProcess, inject: [ModuleRef, WORKER_MODULE_OPTIONS] },
  { provide: WorkerPool, useFactory: (jobs: JobProcess) => jobs.pool, inject: [JobProcess] },
  WorkerFactory,
  WorkerExplorer,
  CursorExplorer,
  CronRegistrar,
  MessageExplorer,
  DoorCheck,
  MicroserviceCheck,
  WorkerCheck,
  WorkerLifecycle,
];

/**
 * Background work for a Nest application. Import it once, by `forRoot` or `forRootAsync`; it is global, so `JobProcess`,
 * `WorkerPool`, `WorkerFactory` and the doors of `@InjectWorkerType` can be injected everywhere.
 */
@Module({
  imports: [DiscoveryModule],
  providers,
  exports: [JobProcess, WorkerPool, WorkerFactory],
})
export class WorkerModule extends ConfigurableModuleClass {
  /** @throws InvalidOptionsError, at start, which names every wrong option */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    checkArgument(options);
    return withDoors(withOwnName(super.forRoot(options), options.jobProcess));
  }

  /** @throws InvalidOptionsError, at start, which names every wrong option */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    checkAsyncArgument(options);
    return withDoors(super.forRootAsync(options));
  }
}

/** A subclass is injected as what it is, too. */
function withOwnName(module: DynamicModule, jobProcess: WorkerModuleOptions['jobProcess']): DynamicModule {
  // What is no class is named when the application starts, with all other wrong options.
  if (typeof jobProcess !== 'function' || jobProcess === JobProcess) return module;
  return {
    ...module,
    providers: [...(module.providers ?? []), { provide: jobProcess, useExisting: JobProcess }],
    exports: [...(module.exports ?? []), jobProcess],
  };
}

/**
 * Adds a door for each type that some class injects. Nest reads the lists when the application is made, when all
 * classes have been decorated; this function may run before.
 */
function withDoors(module: DynamicModule): DynamicModule {
  return {
    ...module,
    get providers() {
      return [...(module.providers ?? []), ...doors()];
    },
    get exports() {
      return [...(module.exports ?? []), ...doors().map(({ provide }) => provide)];
    },
  };
}

function doors() {
  return typesToInject().map((type) => ({
    provide: getWorkerTypeToken(type),
    useFactory: (jobs: JobProcess) => new WorkerTypeDoor(type, jobs),
    inject: [JobProcess],
  }));
}

function refuseBareImport(modules: ModulesContainer): never {
  refuseSecondImport(modules, WorkerModule);
  throw new InvalidOptionsError('WorkerModule', [
    'expected WorkerModule.forRoot() or WorkerModule.forRootAsync() among the imports, got the class alone',
  ]);
}

function checkImport(modules: ModulesContainer, options: WorkerModuleOptions): WorkerModuleOptions {
  refuseSecondImport(modules, WorkerModule);
  return checkModuleOptions(options);
}

function toSetup(options: WorkerModuleOptions): JobProcessSetup {
  const { own, process } = splitOptions(options);
  return {
    process: { ...process, autoStart: false },
    cursorCache: own.cursorCache,
    uploadStore: own.uploads?.store,
    uploadPageSize: own.uploads?.pageSize,
    uploadCallTimeoutMs: own.uploads?.callTimeoutMs,
  };
}

/** By `ModuleRef.create`, so that a subclass may have dependencies of its own. */
function makeJobProcess(moduleRef: ModuleRef, options: WorkerModuleOptions): Promise<JobProcess> {
  return moduleRef.create(options.jobProcess ?? JobProcess);
}
