import { applyDecorators, Inject, Injectable, Scope, SetMetadata } from '@nestjs/common';
import type { WorkerTypeOptionsInput } from '../core/options.js';

const WORKER_TYPE_METADATA = 'nestjs-background-worker:worker-type';

/** What `@WorkerType` says of a class. */
export interface WorkerTypeMetadata {
  readonly type: string;
  readonly options: WorkerTypeOptionsInput;
}

/**
 * Registers a class that extends `Worker` under a worker type. List the class among the providers of any module. It is
 * transient: each place in the worker pool gets an instance of its own, with its dependencies.
 *
 * @param type the name that work is submitted under
 * @param options how the type works; what is left out is as in the options of `WorkerModule`
 */
export function WorkerType(type: string, options: WorkerTypeOptionsInput = {}): ClassDecorator {
  const metadata: WorkerTypeMetadata = { type, options };
  return applyDecorators(SetMetadata(WORKER_TYPE_METADATA, metadata), Injectable({ scope: Scope.TRANSIENT }));
}

/** What `@WorkerType` says of `target`; undefined when it is not decorated itself. */
export function workerTypeMetadata(target: object): WorkerTypeMetadata | undefined {
  return Reflect.getOwnMetadata(WORKER_TYPE_METADATA, target) as WorkerTypeMetadata | undefined;
}

const injectedTypes = new Set<string>();

/** DI token of the `WorkerTypeDoor` of a type. */
export function getWorkerTypeToken(type: string): string {
  return `nestjs-background-worker:door:${type}`;
}

/** Injects the `WorkerTypeDoor` of one worker type. */
export function InjectWorkerType(type: string): PropertyDecorator & ParameterDecorator {
  injectedTypes.add(type);
  return Inject(getWorkerTypeToken(type));
}

/** Worker types that some class wants a door to: names only, so that applications in one process share nothing else. */
export function typesToInject(): readonly string[] {
  return [...injectedTypes];
}
