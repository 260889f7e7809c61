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

function functionSource(
  type: string,
  handlers: { processItem?: unknown; processBatch?: unknown },
): WorkerSource {
  const mode = workerMode(handlers);
  if (typeof mode !== 'string') throw new InvalidWorkerError(type, mode.problem);
  return { mode, create: () => handlers as unknown as Worker<never> };
}
