import type { UnfinishedItem } from '../../../src/core/events.js';
import type { ItemContext } from '../../../src/core/item-context.js';
import type { WorkerProcessOptionsInput } from '../../../src/core/options.js';
import { deferred } from '../../support/deferred.js';
import { ManualProcess } from '../../support/manual-process.js';

/** A process that keeps what it hands back; its handler does what the payload says. */
export function start(options: WorkerProcessOptionsInput = {}) {
  const unfinished: UnfinishedItem[] = [];
  const gate = deferred();
  const handled: string[] = [];
  const process = new ManualProcess({
    maxConcurrency: 1,
    shutdownTimeoutMs: 1_000,
    abortGraceMs: 100,
    timeoutMs: 0,
    onUnfinished: (items) => void unfinished.push(...items),
    ...(options as object),
  });
  process.register('type', {
    processItem: async (payload: string, { signal, attempt }: ItemContext) => {
      handled.push(payload);
      switch (payload) {
        case 'waits':
          return gate.promise;
        case 'heeds its signal':
          return new Promise((_, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason as Error)),
          );
        case 'saves itself':
          return new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        case 'hangs':
          return new Promise(() => undefined);
        case 'fails':
          throw new Error('fails');
        case 'fails once':
          if (attempt === 1) throw new Error('once');
          return undefined;
        default:
          return undefined;
      }
    },
  });
  return { process, unfinished, gate, handled };
}
