import { describe, expect, test } from '@jest/globals';
import { CancelledJobs } from '../../../src/engines/durable/cancelled-jobs.js';
import { RateOfItems } from '../../../src/engines/durable/rate-of-items.js';
import { WriteBehind } from '../../../src/engines/durable/write-behind.js';
import { ManualClock } from '../../support/manual-clock.js';
import { promiseWithResolve } from '../../../src/core/promise-with-resolve.js';

describe('how fast items end', () => {
  test('is told of the time in which there were some', async () => {
    const clock = new ManualClock();
    const rate = new RateOfItems(clock);
    for (let time = 0; time < 10; time++) {
      rate.hold(100);
      await clock.turn(2);
      rate.count(100);
      rate.hold(0);
      // Nothing to do: no reason to think that it is slow.
      await clock.turn(50);
    }
    expect(rate.perMs).toBe(50);
  });

  test('is told of what has just begun', async () => {
    const clock = new ManualClock();
    const rate = new RateOfItems(clock);
    expect(rate.perMs).toBe(0);
    rate.hold(1_000);
    await clock.turn(1);
    rate.count(1_000);
    expect(rate.perMs).toBe(50);
  });

  test('falls with what takes longer', async () => {
    const clock = new ManualClock();
    const rate = new RateOfItems(clock);
    rate.hold(1_000);
    rate.count(500);
    await clock.turn(20);
    expect(rate.perMs).toBe(25);
    rate.count(100);
    await clock.turn(100);
    expect(rate.perMs).toBe(1);
  });
});

function knowing() {
  const clock = new ManualClock();
  const cancelled = new Set<string>();
  const asked: string[][] = [];
  const records = {
    cancelled: (ids: readonly string[]) => {
      asked.push([...ids]);
      return Promise.resolve(new Set(ids.filter((id) => cancelled.has(id))));
    },
  };
  return { clock, cancelled, asked, jobs: new CancelledJobs(records, clock) };
}

describe('what is known of cancelled jobs', () => {
  test('is believed for a tenth of a second', async () => {
    const { clock, cancelled, jobs } = knowing();
    expect(jobs.lately('a')).toBeUndefined();
    expect(await jobs.among(['a', 'b'])).toEqual(new Set());
    cancelled.add('a');
    await clock.turn(100);
    expect([jobs.lately('a'), jobs.lately('b')]).toEqual([false, false]);
    await clock.turn(1);
    expect(jobs.lately('a')).toBeUndefined();
    expect(await jobs.among(['a', 'b'])).toEqual(new Set(['a']));
    expect([jobs.lately('a'), jobs.lately('b')]).toEqual([true, false]);
  });

  test('is what this process has cancelled, whatever an answer says that was under way', async () => {
    const { jobs } = knowing();
    const asking = jobs.among(['a']);
    jobs.cancelledHere('a');
    await asking;
    expect(jobs.lately('a')).toBe(true);
  });

  test('does not grow with the jobs that there were', async () => {
    const { clock, jobs } = knowing();
    for (let job = 0; job < 1_000; job++) {
      await jobs.among([`job-${job}`]);
      await clock.turn(10);
    }
    expect((jobs as unknown as { known: Map<string, unknown> }).known.size).toBeLessThan(20);
  });
});

describe('writes behind', () => {
  test('are made one after another, while the next one is prepared', async () => {
    const writes = new WriteBehind();
    const first = promiseWithResolve<void>();
    const begun: number[] = [];
    await writes.begin(() => {
      begun.push(1);
      return first.promise;
    });
    const second = writes.begin(() => {
      begun.push(2);
      return Promise.resolve();
    });
    await Promise.resolve();
    expect(begun).toEqual([1]);
    first.resolve();
    await second;
    await writes.end();
    expect(begun).toEqual([1, 2]);
  });

  test('end with the first that fails: none is begun after it', async () => {
    const writes = new WriteBehind();
    await writes.begin(() => Promise.reject(new Error('away')));
    const begun: number[] = [];
    const next = () => {
      begun.push(1);
      return Promise.resolve();
    };
    await expect(writes.begin(next)).rejects.toThrow('away');
    await expect(writes.end()).rejects.toThrow('away');
    expect(begun).toEqual([]);
  });
});
