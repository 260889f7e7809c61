import { describe, expect, it } from '@jest/globals';
import type { ItemContext } from '../../../src/core/item-context.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ retry: { limit: 2, backoffMs: 100, jitter: 0 } });

describe('retryFailedItems', () => {
  it('runs now what would be retried later, of one type or of all', async () => {
    const process = start({ retry: { limit: 1, backoffMs: 10_000, jitter: 0 } });
    for (const type of ['a', 'b']) {
      process.register(type, {
        processItem: (_: unknown, { attempt }: ItemContext) => {
          if (attempt === 1) throw new Error('once');
        },
      });
      await process.distributeWork(type, [1, 2]);
    }
    await settle();
    expect(await process.retryFailedItems('a')).toBe(2);
    await settle();
    expect(process.counts('a')).toMatchObject({ completed: 2, delayed: 0 });
    expect(process.counts('b')).toMatchObject({ completed: 0, delayed: 2 });
    expect(await process.retryFailedItems()).toBe(2);
    await process.waitForCompletion();
    expect(await process.retryFailedItems()).toBe(0);
    expect(process.clock.now()).toBe(0);
  });
});

describe('job.retryFailedItems', () => {
  it('runs what awaits a retry of this job now, and nothing of another', async () => {
    const process = start();
    const attempts: [unknown, number][] = [];
    process.register('type', {
      processItem: (payload, { attempt }) => {
        attempts.push([payload, attempt]);
        if (attempt === 1) throw new Error('once');
      },
    });
    const mine = await process.distributeWork('type', ['mine', 'mine']);
    const other = await process.distributeWork('type', ['other']);
    await settle();
    attempts.length = 0;
    expect(await mine.retryFailedItems()).toBe(2);
    await settle();
    expect(attempts).toEqual([
      ['mine', 2],
      ['mine', 2],
    ]);
    expect(mine.isEnded).toBe(true);
    expect(other.isEnded).toBe(false);
    expect(await mine.retryFailedItems()).toBe(0);
    await process.clock.turn(100);
    expect(await other.completed).toMatchObject({ status: 'completed' });
  });
});
