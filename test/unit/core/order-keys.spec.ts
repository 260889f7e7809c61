import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { UnfinishedItem } from '../../../src/core/events.js';
import type { Job } from '../../../src/core/job.js';
import type { SubmitOptions } from '../../../src/core/submit-options.js';
import { Worker } from '../../../src/core/worker.js';
import { deferred, type Deferred } from '../../support/deferred.js';
import { ManualClock, settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

interface Step {
  readonly key: string;
  readonly number: number;
  readonly fails?: 'once' | 'always';
}

const start = processesWith({
  timeoutMs: 0,
  maxConcurrency: 4,
  scalingThreshold: 1,
  shutdownTimeoutMs: 0,
  retry: { limit: 1, backoffMs: 100, jitter: 0 },
});
const byKey: SubmitOptions = { orderKey: ({ key }: Step) => key };
const steps = (key: string, ...numbers: number[]): Step[] => numbers.map((number) => ({ key, number }));

function startWith(options: Parameters<typeof start>[0] = {}) {
  const process = start(options);
  const started: string[] = [];
  const held = new Map<string, Deferred>();
  process.register('type', {
    processItem: async ({ key, number, fails }: Step, { attempt }) => {
      const name = `${key}${number}`;
      started.push(name);
      await held.get(name)?.promise;
      if (fails === 'always' || (fails === 'once' && attempt === 1)) throw new Error(name);
    },
  });
  const hold = (name: string) => {
    const gate = deferred();
    held.set(name, gate);
    return gate;
  };
  return { process, started, hold };
}

/** Where the chains of the keys are kept. */
function backlogOf(process: object): { readonly order?: { readonly chains: ReadonlyMap<string, unknown> } } {
  const { workloads } = process as unknown as { workloads: { get(type: string): { backlog: object } } };
  const { backlog } = workloads.get('type');
  expect(backlog).toHaveProperty('order');
  return backlog;
}

describe('an order key', () => {
  it('lets one item of it run at a time, in order, and those of other keys beside it', async () => {
    const { process, started, hold } = startWith();
    const gate = hold('a1');
    const job = await process.distributeWork('type', [...steps('a', 1, 2, 3), ...steps('b', 1, 2)], byKey);
    await settle();
    expect(started).toEqual(['a1', 'b1', 'b2']);
    expect(process.counts('type')).toMatchObject({ running: 1, waiting: 2 });
    gate.resolve();
    expect(await job.completed).toMatchObject({ done: 5 });
    expect(started.slice(3)).toEqual(['a2', 'a3']);
  });

  it('is one text for a whole submission, and holds from one to the next', async () => {
    const { process, started, hold } = startWith();
    const gate = hold('a1');
    await process.distributeWork('type', steps('a', 1, 2), { orderKey: 'k' });
    await process.distributeWork('type', { key: 'b', number: 1 }, { orderKey: 'k' });
    await process.distributeWork('type', new Set(steps('c', 1, 2)), { orderKey: 'k' });
    await settle();
    expect(started).toEqual(['a1']);
    gate.resolve();
    await process.waitForCompletion();
    expect(started).toEqual(['a1', 'a2', 'b1', 'c1', 'c2']);
  });

  it('waits for the retries of an item, and goes on when it has died', async () => {
    const { process, started } = startWith();
    const items: Step[] = [
      { key: 'a', number: 1, fails: 'once' },
      { key: 'a', number: 2, fails: 'always' },
      { key: 'a', number: 3 },
    ];
    const job = await process.distributeWork('type', items, byKey);
    await process.clock.turn(1_000);
    expect(await job.completed).toMatchObject({ done: 2, failed: 1 });
    expect(started).toEqual(['a1', 'a1', 'a2', 'a2', 'a3']);
  });

  it('gives a redriven item the last place', async () => {
    const { process, started, hold } = startWith({ retry: { limit: 0 } });
    await process.distributeWork('type', [{ key: 'a', number: 1, fails: 'always' }], byKey);
    await process.waitForCompletion();
    const gate = hold('a2');
    await process.distributeWork('type', steps('a', 2, 3), byKey);
    await settle();
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(1);
    gate.resolve();
    await process.waitForCompletion();
    expect(started).toEqual(['a1', 'a2', 'a3', 'a1']);
  });

  it('holds what is for later back only when it is due', async () => {
    const { process, started } = startWith();
    await process.distributeWork('type', steps('a', 1), { ...byKey, delayMs: 100 });
    await process.distributeWork('type', steps('a', 2), byKey);
    await process.clock.turn(100);
    expect(started).toEqual(['a2', 'a1']);
  });

  it.each(['waits', 'awaits its retry', 'runs'] as const)(
    'lets the next one go when the job is cancelled whose item %s',
    async (state) => {
      const { process, started, hold } = startWith();
      const gate = hold('a1');
      if (state === 'waits') void process.pause('type');
      const fails = state === 'awaits its retry' ? 'once' : undefined;
      const job = await process.distributeWork(
        'type',
        [{ key: 'a', number: 1, fails }, ...steps('a', 2)] as Step[],
        byKey,
      );
      const other = await process.distributeWork('type', steps('a', 3), byKey);
      const last = await process.distributeWork('type', steps('a', 4), byKey);
      await settle();
      if (state === 'awaits its retry') gate.resolve();
      await settle();
      void job.cancel();
      gate.resolve();
      void process.resume('type');
      await Promise.all([other.completed, last.completed]);
      expect(started.filter((name) => name !== 'a1')).toEqual(['a3', 'a4']);
      expect((await job.completed).cancelled).toBe(state === 'runs' ? 1 : 2);
      expect(process.counts('type')).toMatchObject({ waiting: 0, delayed: 0, running: 0 });
    },
  );

  it('lets the next one go when the one before it is cancelled before it has started', async () => {
    const { process, started, hold } = startWith();
    const gate = hold('a1');
    await process.distributeWork('type', steps('a', 1), byKey);
    const second = await process.distributeWork('type', steps('a', 2), byKey);
    await process.distributeWork('type', steps('a', 3), byKey);
    await settle();
    void process.pause('type');
    gate.resolve();
    await settle();
    void second.cancel();
    void process.resume('type');
    await process.waitForCompletion();
    expect(started).toEqual(['a1', 'a3']);
  });

  it('holds the next one back while a cancelled one runs, after a pause as well', async () => {
    const { process, started, hold } = startWith();
    void process.pause('type');
    const gate = hold('a1');
    const job = await process.distributeWork('type', steps('a', 1), byKey);
    await process.distributeWork('type', steps('a', 2), byKey);
    void process.resume('type');
    await settle();
    void job.cancel();
    await settle();
    expect(started).toEqual(['a1']);
    gate.resolve();
    await process.waitForCompletion();
    expect(started).toEqual(['a1', 'a2']);
  });

  it('counts what waits for another as waiting, within the bound', async () => {
    const { process, hold } = startWith({ maxQueueSize: 3 });
    const gate = hold('a1');
    const filling = process.distributeWork('type', steps('a', 1, 2, 3, 4, 5, 6), byKey);
    await settle();
    expect(process.counts('type')).toMatchObject({ submitted: 4, running: 1, waiting: 3 });
    expect(process.offer('type', { key: 'b', number: 1 })).toBe(false);
    expect(process.pool.workerCount('type')).toBe(1);
    gate.resolve();
    await filling;
    await process.waitForCompletion();
    expect(process.counts('type')).toMatchObject({ completed: 6 });
  });

  it('hands everything back at a shutdown, in order, what waited for another as well', async () => {
    const unfinished: UnfinishedItem[] = [];
    const { process } = startWith({
      onUnfinished: (items: readonly UnfinishedItem[]) => void unfinished.push(...items),
    });
    void process.pause('type');
    const job = await process.distributeWork(
      'type',
      [...steps('a', 1, 2), ...steps('b', 1), ...steps('a', 3)],
      byKey,
    );
    await process.distributeWork('type', steps('a', 4), { ...byKey, delayMs: 1_000 });
    await process.shutdown();
    expect(unfinished.map(({ payload }) => payload)).toEqual([
      ...steps('a', 1, 2),
      ...steps('b', 1),
      ...steps('a', 3, 4),
    ]);
    expect(process.counts('type')).toMatchObject({ handedBack: 5, waiting: 0 });
    expect(job.orderKeys?.size).toBe(0);
  });

  it('goes together with a unique key, by which items are left out', async () => {
    const { process, started } = startWith();
    const once: SubmitOptions = { ...byKey, uniqueKey: ({ key, number }: Step) => `${key}${number}` };
    const job = await process.distributeWork(
      'type',
      [...steps('a', 1, 1), ...steps('b', 1), ...steps('a', 2)],
      once,
    );
    expect(await job.completed).toMatchObject({ done: 3, duplicates: 1 });
    expect(started.filter((name) => name.startsWith('a'))).toEqual(['a1', 'a2']);
  });

  it.each([
    ['an array', (items: Step[]) => items],
    ['a stream', (items: Step[]) => new Set(items)],
  ])('stays with its item where duplicates of %s are left out before it', async (_, sourceOf) => {
    const { process, started, hold } = startWith();
    const once: SubmitOptions = { ...byKey, uniqueKey: ({ key, number }: Step) => `${key}${number}` };
    const gates = [hold('a1'), hold('b1')];
    const items = [...steps('a', 1, 1), ...steps('b', 1), ...steps('a', 2), ...steps('c', 1)];
    const job = await process.distributeWork('type', sourceOf(items), once);
    await settle();
    expect(started).toEqual(['a1', 'b1', 'c1']);
    gates[0]!.resolve();
    await settle();
    expect(started).toEqual(['a1', 'b1', 'c1', 'a2']);
    gates[1]!.resolve();
    expect(await job.completed).toMatchObject({ done: 4, duplicates: 1 });
  });

  it('lets a worker that is free start the next one while the one that had the key makes a pause', async () => {
    class SlowClock extends ManualClock {
      slowMs = 0;
      override now(): number {
        return super.now() + this.slowMs;
      }
    }
    const clock = new SlowClock();
    const process = start({ clock, minWorkers: 2 });
    const gate = deferred();
    const started: [step: number, worker: unknown][] = [];
    class Stepper extends Worker<Step> {
      override async processItem({ number }: Step): Promise<void> {
        started.push([number, this]);
        if (number > 1) return;
        await gate.promise;
        clock.slowMs = 10;
      }
    }
    process.register('type', { worker: Stepper });
    await settle();
    const job = await process.distributeWork('type', steps('a', 1, 2), byKey);
    await settle();
    gate.resolve();
    await job.completed;
    expect(started.map(([number]) => number)).toEqual([1, 2]);
    expect(started[1]![1]).not.toBe(started[0]![1]);
  });

  it('lets the next one be handed back when one was put back and its job is cancelled', async () => {
    const handedBack: unknown[] = [];
    const process = start({
      onUnfinished: (items) => void handedBack.push(...items.map(({ payload }) => payload)),
    });
    process.register('type', {
      processItem: (_: number, { signal }) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('ended')))),
    });
    const job = await process.distributeWork('type', [1], { orderKey: 'k' });
    await process.distributeWork('type', [2], { orderKey: 'k' });
    await settle();
    await process.pool.shutdown();
    void job.cancel();
    await process.shutdown();
    expect(handedBack).toEqual([2]);
    expect(process.counts('type')).toMatchObject({ waiting: 0, handedBack: 1, cancelled: 1 });
  });

  it('is forgotten as its item ends, and kept for a dead letter until that is redriven or discarded', async () => {
    const { process, started } = startWith({ retry: { limit: 0 } });
    const items = (key: string): Step[] => [{ key, number: 1, fails: 'always' }, ...steps(key, 2)];
    const jobs = [
      await process.distributeWork('type', items('a'), byKey),
      await process.distributeWork('type', items('b'), byKey),
    ];
    const sizes = () => jobs.map(({ orderKeys }) => orderKeys?.size);
    await process.waitForCompletion();
    expect(sizes()).toEqual([1, 1]);
    expect(await process.discardDeadLetters({ ids: [`${jobs[1]!.id}:0`] })).toBe(1);
    expect(sizes()).toEqual([1, 0]);
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(1);
    await process.waitForCompletion();
    expect(started).toHaveLength(5);
    expect(sizes()).toEqual([1, 0]);
    const cancelled = await process.distributeWork('type', steps('a', 3, 4), { ...byKey, delayMs: 100 });
    void cancelled.cancel();
    expect(cancelled.orderKeys?.size).toBe(0);
  });

  it('fills batches with items of different keys', async () => {
    const process = start({ batchSize: 10, maxConcurrency: 1 });
    const batches: string[][] = [];
    process.register('type', {
      processBatch: (items: readonly Step[]) =>
        void batches.push(items.map(({ key, number }) => `${key}${number}`)),
    });
    void process.pause('type');
    await process.distributeWork(
      'type',
      [...steps('a', 1, 2), ...steps('b', 1), ...steps('c', 1, 2, 3)],
      byKey,
    );
    void process.resume('type');
    await process.waitForCompletion();
    expect(batches).toEqual([['a1', 'b1', 'c1'], ['a2', 'c2'], ['c3']]);
  });

  it.each<[SubmitOptions, string]>([
    [{ orderKey: 5 as never }, 'orderKey: expected a text that is not empty, or a function, got 5'],
    [{ orderKey: () => '' }, 'orderKey: expected a text that is not empty for the item at 0, got ""'],
  ])('is refused as %p', async (options, text) => {
    const { process } = startWith();
    await expect(process.distributeWork('type', steps('a', 1), options)).rejects.toThrow(text);
    expect(process.counts('type')).toMatchObject({ submitted: 0 });
  });

  it('comes back with a redriven item only, not with what was dropped behind it', async () => {
    const { process, started, hold } = startWith({ retry: { limit: 0 } });
    const gates = [hold('a2'), hold('b1')];
    await process.distributeWork('type', steps('b', 1), byKey);
    const items: Step[] = [{ key: 'a', number: 1, fails: 'always' }, ...steps('a', 2, 3), ...steps('b', 2)];
    const job = await process.distributeWork('type', items, byKey);
    await settle();
    void job.cancel();
    await process.redriveDeadLetters({ type: 'type' });
    await process.distributeWork('type', steps('b', 3), byKey);
    for (const gate of gates) gate.resolve();
    await process.waitForCompletion();
    expect(started.toSorted()).toEqual(['a1', 'a1', 'a2', 'b1', 'b3']);
    expect(job.progress()).toMatchObject({ done: 1, cancelled: 2, failed: 1 });
  });

  const action = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('submit' as const),
        keys: fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 6 }),
        failing: fc.nat({ max: 7 }),
        delayMs: fc.constantFrom(0, 0, 50),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('turn' as const), ms: fc.nat({ max: 200 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('redrive' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('pause' as const) }) },
  );

  it('is never held by two at once, loses nothing and leaves nothing behind, whatever is done', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
        const process = start();
        const running = new Map<string, number>();
        let overlaps = 0;
        process.register('type', {
          processItem: async ({ key, fails }: Step, { attempt }) => {
            running.set(key, (running.get(key) ?? 0) + 1);
            if (running.get(key)! > 1) overlaps++;
            await new Promise<void>((resolve) => process.clock.setTimer(resolve, 7));
            running.set(key, running.get(key)! - 1);
            if (fails === 'always' || (fails === 'once' && attempt === 1)) throw new Error('fails');
          },
        });
        const jobs: Job[] = [];
        let isPaused = false;
        for (const now of actions) {
          switch (now.kind) {
            case 'submit': {
              const fails = now.failing === 0 ? 'always' : now.failing === 1 ? 'once' : undefined;
              const items = now.keys.map((key, number) => ({
                key: `k${key}`,
                number,
                ...(fails && { fails }),
              }));
              jobs.push(await process.distributeWork('type', items, { ...byKey, delayMs: now.delayMs }));
              break;
            }
            case 'turn':
              await process.clock.turn(now.ms);
              break;
            case 'cancel':
              void jobs[now.which % Math.max(1, jobs.length)]?.cancel();
              break;
            case 'redrive':
              await process.redriveDeadLetters({ type: 'type' });
              break;
            case 'pause':
              isPaused = !isPaused;
              if (isPaused) void process.pause('type');
              else void process.resume('type');
              break;
            default:
              now satisfies never;
          }
          const {
            submitted,
            completed,
            dead,
            cancelled,
            handedBack,
            waiting,
            delayed,
            running: held,
          } = process.counts();
          expect(submitted).toBe(completed + dead + cancelled + handedBack + waiting + delayed + held);
        }
        void process.resume('type');
        await process.clock.turn(10_000);
        expect(overlaps).toBe(0);
        expect(process.counts()).toMatchObject({ waiting: 0, delayed: 0, running: 0 });
        expect(jobs.every((job) => job.isEnded)).toBe(true);
        const { order } = backlogOf(process);
        expect(order?.chains.size ?? 0).toBe(0);
        await process.end();
      }),
      { numRuns: 150 },
    );
  });
});
