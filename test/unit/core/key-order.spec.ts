import { describe, expect, it } from '@jest/globals';
import type { Envelope } from '../../../src/core/envelope.js';
import { Job } from '../../../src/core/job.js';
import { KeyOrder } from '../../../src/core/key-order.js';
import { OrderKeys } from '../../../src/core/order-keys.js';

const home = {
  type: 'type',
  idPrefix: 'test',
  cancelJob: () => undefined,
  jobEnded: () => undefined,
  retryJobs: () => Promise.resolve(0),
};

/** Jobs of one item, all of one key; the first one runs. `looks` counts how often the envelopes of the others were looked at. */
function chainOf(length: number) {
  const order = new KeyOrder();
  const counted = { looks: 0 };
  const jobs = Array.from({ length }, (_, sequence) => {
    const job = new Job(home, sequence);
    job.orderKeys = new OrderKeys(['k']);
    order.enter({
      payload: sequence,
      index: 0,
      attempts: 0,
      get job() {
        counted.looks++;
        return job;
      },
    } satisfies Envelope);
    return job;
  });
  order.started(jobs[0]!, 0);
  counted.looks = 0;
  return { order, jobs, counted };
}

function drop(order: KeyOrder, job: Job) {
  job.isDropped = true;
  return order.drop(job);
}

const chainsOf = (order: KeyOrder) =>
  (order as unknown as { chains: ReadonlyMap<string, { waiting: unknown[] }> }).chains;

describe('KeyOrder', () => {
  it.each([1_000, 8_000])(
    'looks at each of %i items a few times at the most as all are cancelled one by one',
    (length) => {
      const { order, jobs, counted } = chainOf(length);
      for (const job of jobs.slice(1)) expect(drop(order, job)).toEqual({ count: 1, next: [] });
      expect(order.size).toBe(0);
      expect(counted.looks).toBeLessThan(4 * length);
      expect(order.leave(jobs[0]!, 0)).toBeUndefined();
      expect(chainsOf(order).size).toBe(0);
    },
  );

  it('passes dropped items over, and gives the first of the others', () => {
    const { order, jobs } = chainOf(5);
    for (const job of [jobs[1]!, jobs[2]!, jobs[4]!]) drop(order, job);
    expect(order.size).toBe(1);
    expect(order.leave(jobs[0]!, 0)?.job).toBe(jobs[3]);
    expect(order.size).toBe(0);
    expect(order.leave(jobs[3]!, 0)).toBeUndefined();
    expect(chainsOf(order).size).toBe(0);
  });

  it('does not keep dropped items when they are many', () => {
    const { order, jobs } = chainOf(5_000);
    for (const job of jobs.slice(1)) drop(order, job);
    expect(chainsOf(order).get('k')!.waiting.length).toBeLessThanOrEqual(1_024);
  });
});
