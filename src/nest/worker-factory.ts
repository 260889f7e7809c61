import { Inject, Injectable, Scope, type InjectionToken, type Type } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { describe } from '../core/describe.js';
import { InvalidWorkerError, UnknownWorkerTypeError } from '../core/errors.js';
import { given, refuseProblems } from '../core/option-rules.js';
import { findTypeOptionProblems, type WorkerTypeOptionsInput } from '../core/options.js';
import type { Worker } from '../core/worker.js';
import type { WorkerClass } from '../core/worker-definition.js';
import { JobProcess } from '../job-process.js';
import { sharedWorkerError } from './shared-worker.js';
import { WORKER_MODULE_OPTIONS } from './worker-module-definition.js';
import type { WorkerModuleOptions } from './worker-module-options.js';

/** How a worker type known late is registered. */
export interface LateWorkerOptions extends WorkerTypeOptionsInput {
  /** The class of the worker; needed when the token is not the class itself. */
  readonly worker?: WorkerClass;
}

/** Makes the workers of a type from its DI token, with their dependencies: a fresh instance at each call. */
@Injectable()
export class WorkerFactory {
  private readonly resolvers = new Map<string, () => Promise<Worker<never>>>();
  private readonly registered = new Set<unknown>();

  constructor(
    private readonly moduleRef: ModuleRef,
    private readonly jobs: JobProcess,
    @Inject(WORKER_MODULE_OPTIONS) private readonly options: WorkerModuleOptions,
  ) {}

  /** The registered worker types. */
  get types(): string[] {
    return [...this.resolvers.keys()];
  }

  /** A new worker of the type. @throws UnknownWorkerTypeError that lists the known types */
  create(type: string): Promise<Worker<never>> {
    const resolve = this.resolvers.get(type);
    if (resolve === undefined) return Promise.reject(new UnknownWorkerTypeError(type, this.types));
    return resolve();
  }

  /**
   * Registers a worker type that no decorator told of, while the application runs or before.
   *
   * @param token token of a transient provider: the worker's class, or any other with the class as `options.worker`
   * @throws DuplicateWorkerTypeError, InvalidWorkerError, InvalidOptionsError
   */
  register(type: string, token: InjectionToken, options: LateWorkerOptions = {}): void {
    refuseUnusable(type, options);
    const { worker, ...typeOptions } = options;
    const workerClass = worker ?? token;
    if (typeof workerClass !== 'function') {
      const got = worker === undefined ? '' : ` and options.worker ${describe(worker)}`;
      throw new InvalidWorkerError(
        type,
        `expected the token to be the worker's class, or the class as options.worker; got the token ${describe(token)}${got}`,
      );
    }
    const scope = this.scopeOf(type, token);
    if (scope !== Scope.TRANSIENT) {
      throw sharedWorkerError(
        type,
        `decorate the class with @WorkerType(${JSON.stringify(type)}) or @Injectable({ scope: Scope.TRANSIENT })`,
      );
    }
    this.add(type, token, workerClass as WorkerClass, typeOptions);
  }

  /** @internal Whether the token, or the class of a provider, stands for a worker of a registered type. */
  isRegistered(tokenOrClass: unknown): boolean {
    return this.registered.has(tokenOrClass);
  }

  /** @internal Registers what the explorer found. */
  add(type: string, token: InjectionToken, workerClass: WorkerClass, options: WorkerTypeOptionsInput): void {
    refuseProblems(`Worker type ${JSON.stringify(type)}`, findTypeOptionProblems(options));
    const configured: WorkerTypeOptionsInput = this.options.workers?.[type] ?? {};
    const definition = {
      ...options,
      ...given(configured),
      retry: { ...options.retry, ...given(configured.retry ?? {}) },
      worker: workerClass,
      create: () => this.create(type),
    };
    this.jobs.register<never>(type, definition);
    this.registered.add(token).add(workerClass);
    this.resolvers.set(type, () =>
      this.moduleRef.resolve(token as Type<Worker<never>>, undefined, { strict: false }),
    );
  }

  private scopeOf(type: string, token: InjectionToken): Scope {
    try {
      return this.moduleRef.introspect(token as string).scope;
    } catch (error) {
      const problem = `expected ${describe(token)} to be a provider of some module, but Nest knows none`;
      throw new InvalidWorkerError(type, problem, { cause: error });
    }
  }
}

/** Refuses what the rest of `register` could not even name in its messages, or take apart. */
function refuseUnusable(type: unknown, options: unknown): void {
  if (typeof type !== 'string' || type === '') {
    throw new InvalidWorkerError(
      type as string,
      `expected a type name that is not empty, got ${describe(type)}`,
    );
  }
  if (typeof options === 'object' && options !== null) return;
  refuseProblems(`Worker type ${JSON.stringify(type)}`, [
    `options: expected an object, got ${describe(options)}`,
  ]);
}
