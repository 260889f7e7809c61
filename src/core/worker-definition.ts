import type { BatchContext } from './batch-context.js';
import { describe } from './describe.js';
import { InvalidWorkerError } from './errors.js';
import type { ItemContext } from './item-context.js';
import type { WorkerTypeOptionsInput } from './options.js';
import type { WorkerSource } from './pool-share.js';
import { Worker, workerMode } from './worker.js';

/** A class that extends `Worker`. */
export type WorkerClass<Payload = never> = abstract new (...parameters: never[]) => Worker<Payload>;

/** What works on the items of a type: a class, or a handler function where a class would hold nothing. */
export type WorkerDefinition<Payload> = WorkerTypeOptionsInput &
  (
    | {
        readonly worker: new () => Worker<Payload>;
      }
    | {
        readonly worker: WorkerClass<Payload>;
        /** Makes one instance; called whenever the pool grows. */
        readonly create: () => Worker<Payload> | Promise<Worker<Payload>>;
      }
    | { readonly processItem: (payload: Payload, context: ItemContext) => unknown }
    | { readonly processBatch: (payloads: readonly Payload[], context: BatchContext) => unknown }
  );

/** The parts of a definition. */
export interface ResolvedDefinition {
  readonly source: WorkerSource;
  readonly options: WorkerTypeOptionsInput;
}

/** @throws InvalidWorkerError when no worker can come of it */
export function resolveDefinition(type: string, definition: WorkerDefinition<never>): ResolvedDefinition {
  refuseContradictions(type, definition);
  const { worker, create, processItem, processBatch, ...options } = definition as WorkerTypeOptionsInput &
    Partial<Record<'worker' | 'create' | 'processItem' | 'processBatch', unknown>>;
  if (worker === undefined) return { source: functionSource(type, { processItem, processBatch }), options };
  if (typeof worker !== 'function' || !(worker.prototype instanceof Worker)) {
    throw new InvalidWorkerError(
      type,
      `expected worker to be a class that extends Worker, got ${describe(worker)}`,
    );
  }
  const mode = workerMode(worker.prototype as object);
  if (typeof mode !== 'string') throw new InvalidWorkerError(type, mode.problem);
  if (create !== undefined && typeof create !== 'function') {
    throw new InvalidWorkerError(type, `expected create to be a function, got ${describe(create)}`);
  }
  const constructWorker = () => new (worker as new () => Worker<never>)();
  return { source: { mode, create: (create ?? constructWorker) as WorkerSource['create'] }, options };
}

/** One way of saying what works on the items, or it would be anybody's guess which one counts. */
function refuseContradictions(type: string, definition: object): void {
  if (typeof type !== 'string' || type === '') {
    throw new InvalidWorkerError(type, `expected a type name that is not empty, got ${describe(type)}`);
  }
  if (typeof definition !== 'object' || definition === null) {
    throw new InvalidWorkerError(
      type,
      `expected an object with worker, processItem or processBatch, got ${describe(definition)}`,
    );
  }
  const ways = ['worker', 'processItem', 'processBatch'].filter((way) => way in definition);
  if (ways.length !== 1) {
    const got = ways.length === 0 ? 'none' : ways.join(' and ');
    throw new InvalidWorkerError(type, `expected one of worker, processItem and processBatch, got ${got}`);
  }
  if ('create' in definition && ways[0] !== 'worker') {
    throw new InvalidWorkerError(type, 'expected worker, the class of what create makes, got create alone');
  }
}

function functionSource(
  type: string,
  handlers: { processItem?: unknown; processBatch?: unknown },
): WorkerSource {
  const mode = workerMode(handlers);
  if (typeof mode !== 'string') throw new InvalidWorkerError(type, mode.problem);
  return { mode, create: () => handlers as unknown as Worker<never> };
}
