/* oxlint-disable jest/no-conditional-expect -- what is checked depends on the step */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { DelayedItems } from '../../../src/core/delayed-items.js';
import { RetryLaterError, UnrecoverableError } from '../../../src/core/errors.js';
import type { Job } from '../../../src/core/job.js';
import { backoffMs, classifyFailure, type RetryPolicy } from '../../../src/core/retry-policy.js';
import { DelaySchedule } from '../../../src/core/delay-schedule.js';
import { Envelope } from '../../../src/core/envelope.js';
import { makeJob } from '../../support/jobs.js';
import { ManualClock } from '../../support/manual-clock.js';

const BUCKET_MS = 10;
const job = makeJob();

function item(index: number, owner = job): Envelope {
  return new Envelope(undefined, owner, index, 1);
}

function policy(changes: Partial<RetryPolicy> = {}): RetryPolicy {
  return {
    limit: 3,
    backoffMs: 1_000,
    factor: 2,
    maxBackoffMs: 60_000,
    jitter: 0.2,
    retryable: () => true,
    ...changes,
  };
}

/** Milliseconds with a fraction, as a real clock has them. */
function eighths(mostMs: number): fc.Arbitrary<number> {
  return fc.nat({ max: 8 * mostMs }).map((count) => count / 8);
}

type Step =
  | { do: 'add'; dueMs: number }
  | { do: 'takeDue'; nowMs: number }
  | { do: 'drop' | 'drop and go on' | 'take'; owner: number }
  | { do: 'take all' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('add' as const),
      dueMs: eighths(500),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('takeDue' as const), nowMs: fc.nat({ max: 600 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('drop' as const, 'drop and go on' as const, 'take' as const),
      owner: fc.nat({ max: 2 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('take all' as const) }) },
);

describe('DelayedItems', () => {
  it('agrees with a plain list: never early, at most 10 ms late, the earliest first, and none is lost', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const delayed = new DelayedItems();
        const owners = [makeJob(0), makeJob(1), makeJob(2)];
        let model: { index: number; owner: Job; dueMs: number }[] = [];
        let index = 0;
        const drop = (owner: Job) => {
          const kept = model.filter((entry) => entry.owner !== owner);
          owner.isDropped = true;
          expect(delayed.drop(owner)).toBe(model.length - kept.length);
          model = kept;
        };
        for (const now of steps) {
          const got: number[] = [];
          const receive = (envelope: Envelope) => got.push(envelope.index);
          const mustCome = (limitMs: number) => model.filter(({ dueMs }) => dueMs <= limitMs - BUCKET_MS);
          const mayCome = (limitMs: number) => model.filter(({ dueMs }) => dueMs <= limitMs);
          switch (now.do) {
            case 'add':
              delayed.add(item(index, owners[index % 3]), now.dueMs);
              model.push({ index, owner: owners[index % 3]!, dueMs: now.dueMs });
              index++;
              break;
            case 'takeDue': {
              const due = model.filter((entry) => mayCome(now.nowMs).includes(entry));
              delayed.takeDue(now.nowMs, receive);
              expect(due.map((entry) => entry.index)).toEqual(expect.arrayContaining(got));
              expect(got).toEqual(expect.arrayContaining(mustCome(now.nowMs).map((entry) => entry.index)));
              const buckets = got.map((i) =>
                Math.ceil(model.find((entry) => entry.index === i)!.dueMs / BUCKET_MS),
              );
              expect(buckets).toEqual(buckets.toSorted((a, b) => a - b));
              break;
            }
            case 'drop':
              drop(owners[now.owner]!);
              owners[now.owner] = makeJob(now.owner);
              break;
            case 'drop and go on':
              drop(owners[now.owner]!);
              delayed.takeOutDropped();
              owners[now.owner]!.isDropped = false;
              break;
            case 'take':
              delayed.take(({ job: owner }) => owner === owners[now.owner], receive);
              expect(got.toSorted((a, b) => a - b)).toEqual(
                model.filter(({ owner }) => owner === owners[now.owner]).map((entry) => entry.index),
              );
              break;
            case 'take all':
              delayed.take(() => true, receive);
              expect(got.toSorted((a, b) => a - b)).toEqual(model.map((entry) => entry.index));
              break;
            default:
              now satisfies never;
          }
          model = model.filter((entry) => !got.includes(entry.index));
          expect(delayed.size).toBe(model.length);
          expect(owners.map((owner) => owner.delayed)).toEqual(
            owners.map((owner) => model.filter((entry) => entry.owner === owner).length),
          );
          const nextDueMs = model.length === 0 ? undefined : Math.min(...model.map(({ dueMs }) => dueMs));
          if (nextDueMs === undefined) expect(delayed.nextDueMs).toBeUndefined();
          else expect(delayed.nextDueMs).toBe(Math.ceil(nextDueMs / BUCKET_MS) * BUCKET_MS);
        }
      }),
      { numRuns: 300 },
    );
  });
});

function schedule() {
  const clock = new ManualClock();
  const released: { index: number; atMs: number }[] = [];
  let rounds = 0;
  const retries = new DelaySchedule(
    clock,
    ({ index }) => released.push({ index, atMs: clock.now() }),
    () => rounds++,
  );
  return { clock, released, retries, rounds: () => rounds };
}

describe('DelaySchedule', () => {
  it('releases each item at its time, never early and at most 10 ms late, whatever the order of adding', async () => {
    const delays = fc.array(eighths(300), { minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(delays, fc.array(fc.nat({ max: 40 }), { maxLength: 5 }), async (delaysMs, turns) => {
        const { clock, released, retries } = schedule();
        const dueMs = delaysMs.map((delayMs, index) => {
          retries.add(item(index), delayMs);
          return delayMs;
        });
        for (const turn of turns) await clock.turn(turn);
        await clock.turn(400);
        expect(released).toHaveLength(dueMs.length);
        for (const { index, atMs } of released) {
          expect(atMs).toBeGreaterThanOrEqual(dueMs[index]!);
          expect(atMs).toBeLessThan(dueMs[index]! + BUCKET_MS);
        }
        expect(retries.size).toBe(0);
        expect(clock.timers).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it('tells once of all items of a moment', async () => {
    const { clock, retries, rounds } = schedule();
    for (let index = 0; index < 100; index++) retries.add(item(index), 40);
    await clock.turn(50);
    expect(rounds()).toBe(1);
  });

  it('needs one timer however many items are delayed', () => {
    const { clock, retries } = schedule();
    for (let index = 0; index < 1_000; index++) retries.add(item(index), 1_000 - index);
    expect(clock.timers).toBe(1);
    expect(retries.releaseAll()).toBe(1_000);
    expect(clock.timers).toBe(0);
    expect(retries.releaseAll()).toBe(0);
  });

  it('forgets the moment of items that were dropped, and its timer with the last one', async () => {
    const { clock, released, retries } = schedule();
    const [one, two] = [makeJob(1), makeJob(2)];
    retries.add(item(1, one), 20);
    retries.add(item(2, two), 100);
    one.isDropped = true;
    expect(retries.drop(one)).toBe(1);
    expect(retries.nextDueMs).toBe(100);
    await clock.turn(50);
    expect(released).toEqual([]);
    two.isDropped = true;
    expect(retries.drop(two)).toBe(1);
    expect(retries.nextDueMs).toBeUndefined();
    expect(clock.timers).toBe(0);
  });

  it('releases the items of one job and keeps those of the others for their time', async () => {
    const { clock, released, retries } = schedule();
    const [one, two] = [makeJob(1), makeJob(2)];
    retries.add(item(1, one), 20);
    retries.add(item(2, two), 30);
    retries.add(item(3, one), 40);
    expect(retries.releaseRetries(new Set([one]))).toBe(2);
    expect(released.map(({ index }) => index)).toEqual([1, 3]);
    expect(retries.size).toBe(1);
    await clock.turn(30);
    expect(released.at(-1)).toEqual({ index: 2, atMs: 30 });
    expect(clock.timers).toBe(0);
  });

  it('looks at the delayed items a few times, however many jobs of one item are dropped', () => {
    const { retries } = schedule();
    const jobs = Array.from({ length: 40_000 }, (_, number) => makeJob(number));
    for (const [index, owner] of jobs.entries()) retries.add(item(index, owner), index);
    const items = (retries as unknown as { items: DelayedItems }).items;
    let sweeps = 0;
    const takeOutDropped = items.takeOutDropped.bind(items);
    items.takeOutDropped = () => {
      sweeps++;
      takeOutDropped();
    };
    for (const owner of jobs) {
      owner.isDropped = true;
      retries.drop(owner);
    }
    expect(retries.size).toBe(0);
    expect(sweeps).toBeLessThan(40);
  });

  it('keeps fewer dropped items than others, or a thousand', () => {
    const { retries } = schedule();
    const [stays, ...dropped] = Array.from({ length: 6 }, (_, number) => makeJob(number));
    retries.add(item(0, stays), 10);
    for (const owner of dropped)
      for (let index = 0; index < 500; index++) retries.add(item(index, owner), 10);
    const { buckets } = (retries as unknown as { items: { buckets: Map<number, unknown[]> } }).items;
    for (const owner of dropped) {
      owner.isDropped = true;
      retries.drop(owner);
      expect([...buckets.values()].flat().length - retries.size).toBeLessThanOrEqual(
        Math.max(1_024, retries.size),
      );
    }
    expect(retries.size).toBe(1);
  });

  it('waits on when its timer comes early', async () => {
    /** Like a Node timer, which has whole milliseconds and a longest delay. */
    class EarlyClock extends ManualClock {
      override setTimer(callback: () => void, delayMs: number) {
        return super.setTimer(callback, Math.min(7, delayMs));
      }
    }
    const clock = new EarlyClock();
    const released: number[] = [];
    const retries = new DelaySchedule(
      clock,
      () => released.push(clock.now()),
      () => undefined,
    );
    retries.add(item(0), 45);
    await clock.turn(100);
    expect(released).toEqual([50]);
  });
});

describe('backoffMs', () => {
  it('grows by the factor from one retry to the next, up to the longest delay', () => {
    const delays = [1, 2, 3, 4, 5].map((attempt) =>
      backoffMs(policy({ jitter: 0, factor: 3, maxBackoffMs: 20_000 }), attempt, 0.5),
    );
    expect(delays).toEqual([1_000, 3_000, 9_000, 20_000, 20_000]);
  });

  it('stays within the jitter on both sides, and is a delay whatever the options and the attempt', () => {
    const finite = { noNaN: true, noDefaultInfinity: true };
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1e9, ...finite }),
        fc.double({ min: 1, max: 1e6, ...finite }),
        fc.double({ min: 0, max: 1e9, ...finite }),
        fc.double({ min: 0, max: 1, ...finite }),
        fc.integer({ min: 1, max: 100_000 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, ...finite }),
        (firstMs, factor, maxBackoffMs, jitter, attempt, random) => {
          const exact = backoffMs(
            policy({ backoffMs: firstMs, factor, maxBackoffMs, jitter: 0 }),
            attempt,
            random,
          );
          const delayMs = backoffMs(
            policy({ backoffMs: firstMs, factor, maxBackoffMs, jitter }),
            attempt,
            random,
          );
          expect(exact).toBeLessThanOrEqual(maxBackoffMs);
          expect(delayMs).toBeGreaterThanOrEqual(exact * (1 - jitter) - 1e-3);
          expect(delayMs).toBeLessThanOrEqual(exact * (1 + jitter) + 1e-3);
        },
      ),
    );
    expect(backoffMs(policy({ backoffMs: 0 }), 5_000, 0.5)).toBe(0);
    expect(backoffMs(policy({ jitter: 0.5 }), 1, 0)).toBe(500);
    expect(backoffMs(policy({ jitter: 0.5 }), 1, 0.999_999)).toBeCloseTo(1_500, 1);
  });
});

describe('classifyFailure', () => {
  const error = new Error('no');

  it('retries until the limit, and calls the item dead with the attempt after it', () => {
    const kinds = [1, 2, 3, 4].map((attempt) => classifyFailure(policy(), error, attempt, 0.5));
    expect(kinds).toEqual([
      { kind: 'retry', delayMs: 1_000, error },
      { kind: 'retry', delayMs: 2_000, error },
      { kind: 'retry', delayMs: 4_000, error },
      { kind: 'dead', reason: 'attempts-exhausted', error },
    ]);
    expect(classifyFailure(policy({ limit: 0 }), error, 1, 0.5)).toMatchObject({ kind: 'dead' });
  });

  it('lets an error choose its own delay, but no further attempt', () => {
    const later = new RetryLaterError(5);
    expect(classifyFailure(policy(), later, 3, 0.9)).toEqual({ kind: 'retry', delayMs: 5, error: later });
    expect(classifyFailure(policy(), later, 4, 0.9)).toMatchObject({
      kind: 'dead',
      reason: 'attempts-exhausted',
    });
    expect(classifyFailure(policy({ retryable: () => false }), later, 1, 0)).toMatchObject({ kind: 'retry' });
  });

  it('never retries what can never succeed', () => {
    const asked: Error[] = [];
    const rules = policy({ limit: 9, retryable: (given) => asked.push(given) < 0 });
    class OutOfMoney extends UnrecoverableError {}
    for (const hopeless of [new UnrecoverableError('never'), new OutOfMoney('never')]) {
      expect(classifyFailure(rules, hopeless, 1, 0.5)).toEqual({
        kind: 'dead',
        reason: 'unrecoverable',
        error: hopeless,
      });
    }
    expect(asked).toEqual([]);
    expect(classifyFailure(rules, error, 1, 0.5)).toEqual({ kind: 'dead', reason: 'unrecoverable', error });
    expect(asked).toEqual([error]);
  });

  it('refuses a delay that is none', () => {
    for (const delayMs of [-1, NaN, Infinity, '5' as never]) {
      expect(() => new RetryLaterError(delayMs)).toThrow(RangeError);
    }
  });
});
