import { applyDecorators, Inject, Injectable, Scope, SetMetadata } from '@nestjs/common';
import { describe } from '../core/describe.js';
import { refuseProblems } from '../core/option-rules.js';
import type { WorkerTypeOptionsInput } from '../core/options.js';
import type { Worker } from '../core/worker.js';
import { bareDecoratorError } from './bare-decorator.js';
import { className, ownerClass } from './class-name.js';

const WORKER_TYPE_METADATA = 'nestjs-background-worker:worker-type';

/** What `@WorkerType` says of a class. */
export interface WorkerTypeMetadata {
  readonly type: string;
  readonly options: WorkerTypeOptionsInput;
}

/**
 * What a class has to be besides itself, so that it compiles: nothing when it extends `Worker`. What is no class passes:
 * Nest's `applyDecorators` takes decorators of any class or of any member, and this one is of a member by its type.
 */
type OfWorker<Target> = Target extends abstract new (...parameters: never[]) => infer Instance
  ? keyof Worker extends keyof Instance
    ? unknown
    : 'expected a class that extends Worker'
  : unknown;

/**
 * Registers a class that extends `Worker` under a worker type. List the class among the providers of any module. It is
 * transient: each place in the worker pool gets an instance of its own, with its dependencies.
 *
 * @param type the name that work is submitted under
 * @param options how the type works; what is left out is as in the options of `WorkerModule`
 * @throws InvalidOptionsError when there is no name, or it is not called; the options are checked when the application starts
 */
export function WorkerType(
  type: string,
  options: WorkerTypeOptionsInput = {},
): <Target extends object>(target: Target & OfWorker<Target>) => void {
  refuseBare('@WorkerType', type);
  const metadata: WorkerTypeMetadata = { type, options };
  return applyDecorators(
    (target: object) => refuseNameless('@WorkerType', type, target),
    SetMetadata(WORKER_TYPE_METADATA, metadata),
    Injectable({ scope: Scope.TRANSIENT }),
  );
}

/** What `@WorkerType` says of `target`; undefined when it is not decorated itself. */
export function workerTypeMetadata(target: object): WorkerTypeMetadata | undefined {
  return Reflect.getOwnMetadata(WORKER_TYPE_METADATA, target) as WorkerTypeMetadata | undefined;
}

const INJECTED_TYPES_METADATA = 'nestjs-background-worker:injected-types';
const DOOR_TOKEN_PREFIX = 'nestjs-background-worker:door:';

/** Of a property, or of a parameter of the constructor. */
type AnyDecorator = (target: object, key?: string | symbol, index?: number) => void;

const allInjectedTypes = new Set<string>();

/** DI token of the `WorkerTypeDoor` of a type. */
export function getWorkerTypeToken(type: string): string {
  return DOOR_TOKEN_PREFIX + type;
}

/** The type of the door that the token stands for; undefined when it is another token. */
export function workerTypeOfToken(token: unknown): string | undefined {
  return typeof token === 'string' && token.startsWith(DOOR_TOKEN_PREFIX)
    ? token.slice(DOOR_TOKEN_PREFIX.length)
    : undefined;
}

/**
 * Injects the `WorkerTypeDoor` of one worker type. The type has to be known when the application has started: one that
 * `WorkerFactory.register` makes known, from `onModuleInit` at the latest.
 *
 * @throws InvalidOptionsError when there is no name, or it is not called
 */
export function InjectWorkerType(type: string): PropertyDecorator & ParameterDecorator {
  refuseBare('@InjectWorkerType', type);
  return (target: object, key?: string | symbol, index?: number) => {
    refuseNameless('@InjectWorkerType', type, target);
    allInjectedTypes.add(type);
    const into = ownerClass(target);
    Reflect.defineMetadata(INJECTED_TYPES_METADATA, [...typesInjectedInto(into), type], into);
    (Inject(getWorkerTypeToken(type)) as AnyDecorator)(target, key, index);
  };
}

/** The types that a class wants doors to. */
export function typesInjectedInto(target: object): readonly string[] {
  return (Reflect.getMetadata(INJECTED_TYPES_METADATA, target) as string[] | undefined) ?? [];
}

/** Worker types that some class wants a door to: names only, so that applications in one process share nothing else. */
export function typesToInject(): readonly string[] {
  return [...allInjectedTypes];
}

function refuseBare(decorator: string, type: unknown): void {
  if (typeof type !== 'function' && (typeof type !== 'object' || type === null)) return;
  throw bareDecoratorError(decorator, nameOfType(decorator), type);
}

function refuseNameless(decorator: string, type: unknown, target: object): void {
  if (typeof type === 'string' && type !== '') return;
  refuseProblems(`${decorator} on ${className(ownerClass(target))}`, [
    `expected ${nameOfType(decorator)}, got ${describe(type)}`,
  ]);
}

function nameOfType(decorator: string): string {
  return `the name of a worker type, as in ${decorator}('mail')`;
}
