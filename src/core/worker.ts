import type { BatchContext } from './batch-context.js';
import type { ItemContext } from './item-context.js';

/**
 * What a user extends to do background work: override `processItem` or `processBatch`.
 *
 * One instance works for one place in the worker pool, on one item or batch at a time; its fields are its own. A new
 * one is made when the pool grows.
 */
export abstract class Worker<Payload = unknown> {
  /**
   * Works on one item. Returning (or resolving) completes it. Throwing fails the attempt: it is retried by the retry
   * policy, unless the error is an `UnrecoverableError`; a `RetryLaterError` chooses its own delay.
   *
   * @param context what is known of the attempt; valid until the handler settles
   */
  processItem?(payload: Payload, context: ItemContext): unknown;

  /**
   * Works on several items together. Returning (or resolving) completes those that were not failed by
   * `context.fail`. Throwing fails the attempt of all the others.
   */
  processBatch?(payloads: readonly Payload[], context: BatchContext): unknown;

  /**
   * Takes what is scarce (a connection, a thread) before the first item. Throwing ends the worker, as does passing
   * `timeoutMs`; another is tried later. A call that runs on after `timeoutMs` counts for `maxAbandoned` until it returns.
   */
  onStart?(): void | Promise<void>;

  /** Gives it back after the last item. One that runs on after `timeoutMs` is not waited for, and counts in the same way. */
  onStop?(): void | Promise<void>;
}

/** How a worker gets its items. */
export type WorkerMode = 'item' | 'batch';

/**
 * How `worker` wants its items: by the one of `processItem` and `processBatch` that it has.
 *
 * @returns the mode, or what is wrong with the worker
 */
export function workerMode(worker: Worker<never> | object): WorkerMode | { readonly problem: string } {
  const { processItem, processBatch } = worker as Partial<Record<'processItem' | 'processBatch', unknown>>;
  const takesItems = typeof processItem === 'function';
  const takesBatches = typeof processBatch === 'function';
  if (takesItems && takesBatches) {
    return { problem: 'expected processItem or processBatch, got both; a worker works one way' };
  }
  if (takesItems) return 'item';
  if (takesBatches) return 'batch';
  return {
    problem:
      'expected a method processItem(payload, context) or processBatch(payloads, context), got neither',
  };
}

/**
 * What is wrong with a worker that was made for a type whose class gets its items by `mode`.
 *
 * @returns undefined when nothing is
 */
export function findModeProblem(worker: Worker<never>, mode: WorkerMode): string | undefined {
  const found = workerMode(worker);
  if (found === mode) return undefined;
  if (typeof found !== 'string') return found.problem;
  const method = mode === 'item' ? 'processItem' : 'processBatch';
  return `expected a worker with ${method}, as the registered class has it`;
}
