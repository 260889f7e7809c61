import { describe, expect, it } from '@jest/globals';
import { RetryLaterError } from '../../../src/core/errors.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ maxConcurrency: 1, retry: { limit: 1, backoffMs: 100, jitter: 0 } });

/** An error that can't be asked for its delay. */
function unreadable(): Error {
  return Object.defineProperty(new RetryLaterError(5_000), 'delayMs', {
    get: () => {
      throw new Error('not to be read');
    },
  });
}

describe('an error that throws when it is looked at', () => {
  it.each([
    [
      'an item handler',
      {
        processItem: (_: unknown, { attempt }: { attempt: number }) => {
          if (attempt === 1) throw unreadable();
        },
      },
    ],
    [
      'a batch handler',
      {
        processBatch: (_: readonly unknown[], context: { attempt(place: number): number }) => {
          if (context.attempt(0) === 1) throw unreadable();
        },
      },
    ],
  ])(
    'is a failure like any other, thrown by %s: its item is retried after the backoff',
    async (_, handler) => {
      const process = start();
      process.register('type', handler);
      const [failed, retries] = [process.heard('workerFailed'), process.heard('retry')];
      const job = await process.distributeWork('type', ['item']);
      await process.clock.turn(90);
      expect(process.counts()).toMatchObject({ running: 0, delayed: 1, failedAttempts: 1 });
      await process.clock.turn(20);
      expect(await job.completed).toMatchObject({ status: 'completed', done: 1 });
      expect(retries).toMatchObject([{ delayMs: 100, error: { code: 'NON_ERROR_THROWN' } }]);
      expect(failed).toEqual([]);
    },
  );
});
