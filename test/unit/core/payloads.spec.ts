/* oxlint-disable unicorn/no-thenable -- a payload may look like a promise */
import { describe, expect, it } from '@jest/globals';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ retry: { limit: 2, backoffMs: 100, jitter: 0 } });

describe('an item handler', () => {
  it('gets every payload as it was given, however odd', async () => {
    const process = start({ maxConcurrency: 1 });
    const { proxy: revoked, revoke } = Proxy.revocable({}, {});
    revoke();
    const thenable = { then: () => expect('then').toBe('not called') };
    const odd = [
      undefined,
      null,
      NaN,
      Symbol('s'),
      () => 0,
      Object.freeze([1]),
      thenable,
      revoked,
      new Map(),
    ];
    const got: unknown[] = [];
    process.register('type', { processItem: (payload: unknown) => void got.push(payload) });
    await process.distributeWork('type', odd);
    await settle();
    for (const payload of odd) expect(process.offer('type', payload)).toBe(true);
    await settle();
    for (const payload of [undefined, null]) await process.distributeWork('type', payload);
    await process.distributeWork('type', new Set([thenable, revoked]));
    await settle();
    const expected = [...odd, ...odd, undefined, null, thenable, revoked];
    expect(got).toHaveLength(expected.length);
    expect(got.every((payload, index) => Object.is(payload, expected[index]))).toBe(true);
    expect(process.counts().completed).toBe(expected.length);
  });

  it('gets the items of an array as they were at the call, holes included', async () => {
    const process = start({ maxConcurrency: 1, maxQueueSize: 2 });
    const got: unknown[] = [];
    process.register('type', { processItem: (payload: unknown) => void got.push(payload) });
    // oxlint-disable-next-line no-sparse-arrays
    const payloads: unknown[] = [1, , 3, 4, 5, 6];
    const submitted = process.distributeWork('type', payloads);
    payloads.fill('changed');
    payloads.length = 1;
    const job = await submitted;
    await settle();
    expect(await job.completed).toMatchObject({ done: 6 });
    expect(got).toEqual([1, undefined, 3, 4, 5, 6]);
  });
});
