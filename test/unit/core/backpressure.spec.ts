import { describe, expect, it, jest } from '@jest/globals';
import * as fc from 'fast-check';
import { QueueFullError } from '../../../src/core/errors.js';
import type { ItemContext } from '../../../src/core/item-context.js';
import { Admission } from '../../../src/core/admission.js';
import type { Job } from '../../../src/core/job.js';
import type { WorkerProcessOptionsInput } from '../../../src/core/options.js';
import { WorkerProcess } from '../../../src/core/worker-process.js';
import { deferred } from '../../support/deferred.js';
import { ManualClock, settle } from '../../support/manual-clock.js';
import { ManualProcess } from '../../support/manual-process.js';
import { until } from '../../support/until.js';

const MILLION = 1_000_000;
/** On a machine that does much else: on one that does not, seconds. */
const A_MILLION_TAKES_MS = 300_000;

function start(options: WorkerProcessOptionsInput = {}): ManualProcess {
  return new ManualProcess({ timeoutMs: 0, maxConcurrency: 1, ...(options as object) });
}

describe('a handler that submits to its own full type', () => {
  it('is taken in at once up to twice the bound, and refused as a whole beyond', async () => {
    const process = start({ maxQueueSize: 4 });
    const outcomes: string[] = [];
    process.register('type', {
      processItem: async (payload: string) => {
        if (payload !== 'parent') return;
        for (const children of [['a', 'b', 'c'], ['d', 'e'], ['f']]) {
          try {
            await process.distributeWork('type', children, { fromHandler: true });
            outcomes.push(`${children.length} taken`);
          } catch (error) {
            outcomes.push((error as Error).message);
          }
        }
      },
    });
    const job = await process.distributeWork('type', ['parent', 'x', 'y', 'z']);
    await process.clock.turn(10);
    await process.waitForCompletion();
    expect(await job.completed).toMatchObject({ status: 'completed', done: 4 });
    expect(outcomes).toEqual([
      '3 taken',
      '2 taken',
      'Work queue of "type" is full: twice maxQueueSize (4), the bound for submissions of handlers, is reached',
    ]);
    expect(process.counts()).toMatchObject({ submitted: 9, completed: 9 });
    await process.end();
  });
});

describe('a bounded queue', () => {
  it.each([
    [
      'an async generator',
      async function* (pulled: () => void) {
        for (let i = 0; i < MILLION; i++) {
          pulled();
          yield i;
        }
      },
    ],
    [
      'a generator',
      function* (pulled: () => void) {
        for (let i = 0; i < MILLION; i++) {
          pulled();
          yield i;
        }
      },
    ],
  ])(
    'takes a million items of %s through, and never pulls further than it has room',
    async (_, generate) => {
      const maxQueueSize = 10_000;
      const process = new WorkerProcess({ maxConcurrency: 1, maxQueueSize });
      let pulled = 0;
      let ended = 0;
      let mostHeld = 0;
      let mostAhead = 0;
      const waitingItems = async () => process.counts('type').waiting;
      const untilFull = async () => {
        const found = await until(waitingItems, (waiting) => waiting === maxQueueSize, A_MILLION_TAKES_MS);
        expect(found).toBe(maxQueueSize);
      };
      process.register('type', {
        processItem: (index: number) => {
          ended++;
          if (index % 97 > 0 && index % 4_096 > 0) return undefined;
          mostAhead = Math.max(mostAhead, pulled - ended);
          const { waiting, delayed } = process.counts('type');
          mostHeld = Math.max(mostHeld, waiting + delayed);
          // One waits for the source to get as far ahead as it may, and some others let it get ahead a little.
          if (index === MILLION / 2) return untilFull();
          return index % 4_096 === 0 ? settle() : undefined;
        },
      });
      const job = await process.distributeWork<number>(
        'type',
        generate(() => pulled++),
      );
      expect(await job.completed).toMatchObject({ status: 'completed', done: MILLION, total: MILLION });
      expect(mostHeld).toBeLessThanOrEqual(maxQueueSize);
      // Beside what waits: what the workers hold, and the one item that was asked for and finds no room.
      expect(mostAhead).toBeLessThanOrEqual(maxQueueSize + 1 + 1);
      await process.shutdown();
    },
    A_MILLION_TAKES_MS,
  );

  it('lets an array in that is larger than the bound, in order, and resolves when the last item is in', async () => {
    const process = start({ maxQueueSize: 3 });
    const handled: number[] = [];
    let isSubmitted = false;
    const gate = deferred();
    process.register('type', {
      processItem: (payload: number) => {
        handled.push(payload);
        const { waiting, delayed } = process.counts();
        expect(waiting + delayed).toBeLessThanOrEqual(3);
        return payload === 6 ? gate.promise : undefined;
      },
    });
    const numbers = Array.from({ length: 12 }, (_, i) => i);
    const submitted = process.distributeWork('type', numbers).then((job) => {
      isSubmitted = true;
      return job;
    });
    await settle();
    expect(handled).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(isSubmitted).toBe(false);
    gate.resolve();
    expect(await (await submitted).completed).toMatchObject({ done: 12, total: 12 });
    expect(handled).toEqual(numbers);
    await process.end();
  });

  it('lets producers in one after another, a turn each, in the order in which they came', async () => {
    const process = start({ maxQueueSize: 4 });
    const order: string[] = [];
    const gate = deferred();
    process.register('type', {
      processItem: (payload: string) => {
        order.push(payload);
        return payload === 'first' ? gate.promise : undefined;
      },
    });
    void process.distributeWork('type', ['first', 'x', 'x', 'x']);
    await settle();
    process.offer('type', 'x');
    expect(process.counts()).toMatchObject({ waiting: 4, running: 1 });
    const resolved: string[] = [];
    const submit = (name: string, source: unknown) =>
      process.distributeWork('type', source).then(() => resolved.push(name));
    const all = [
      submit('item a', 'a'),
      submit('array', ['b', 'c']),
      submit('item d', 'd'),
      submit('stream', ['e', 'f'].values()),
      submit('item g', 'g'),
    ];
    expect(process.offer('type', 'refused')).toBe(false);
    await settle();
    expect(resolved).toEqual(['stream']);
    gate.resolve();
    await Promise.all(all);
    await process.waitForCompletion();
    expect(order.slice(5).filter((payload) => payload !== 'f')).toEqual(['a', 'b', 'c', 'd', 'e', 'g']);
    expect(resolved).toEqual(['stream', 'item a', 'array', 'item d', 'item g']);
    await process.end();
  });

  it('gives producers of many items turns, so that a small one need not wait for a large one', async () => {
    const process = start({ maxQueueSize: 2_048 });
    const gate = deferred();
    const order: string[] = [];
    process.register('type', {
      processItem: (payload: string) => {
        if (order.at(-1) !== payload) order.push(payload);
        return payload === 'first' ? gate.promise : undefined;
      },
    });
    process.offer('type', 'first');
    await settle();
    const large = process.distributeWork(
      'type',
      Array.from({ length: 10_000 }, () => 'large'),
    );
    const small = process.distributeWork(
      'type',
      Array.from({ length: 3 }, () => 'small'),
    );
    gate.resolve();
    await Promise.all([large, small]);
    await process.waitForCompletion();
    expect(order).toEqual(['first', 'large', 'small', 'large']);
    await process.end();
  });

  it('rejects one producer more than may wait, having taken nothing of it, and goes on', async () => {
    const process = start({ maxQueueSize: 1, maxWaitingProducers: 2 });
    const gate = deferred();
    const finished = process.heard('jobEnded');
    process.register('type', { processItem: () => gate.promise });
    await process.distributeWork('type', 1);
    await settle();
    await process.distributeWork('type', 2);
    const next = jest.fn(() => ({ done: false, value: 9 }));
    const waiting = [process.distributeWork('type', 3), process.distributeWork('type', [4, 5])];
    for (const source of [6, [7, 8], { [Symbol.iterator]: () => ({ next }) }]) {
      await expect(process.distributeWork('type', source)).rejects.toThrow(QueueFullError);
    }
    expect(next).not.toHaveBeenCalled();
    gate.resolve();
    await Promise.all(waiting);
    await process.waitForCompletion();
    expect(process.counts()).toMatchObject({ submitted: 5, completed: 5 });
    expect(finished).toHaveLength(1);
    await process.distributeWork('type', 10);
    await process.end();
  });

  it('does not end a stream that is under way because others fill the line', async () => {
    const process = start({ maxQueueSize: 2, maxWaitingProducers: 2 });
    const gate = deferred();
    process.register('type', { processItem: () => gate.promise });
    const stream = await process.distributeWork('type', [1, 2, 3, 4, 5, 6].values());
    await settle();
    const others = [process.distributeWork('type', [7])];
    await expect(process.distributeWork('type', [8])).rejects.toThrow(QueueFullError);
    gate.resolve();
    await Promise.all(others);
    expect(await stream.completed).toMatchObject({ status: 'completed', done: 6, error: undefined });
    await process.end();
  });

  it('counts delayed items, and starves no producer for them', async () => {
    const process = start({ maxQueueSize: 4, retry: { limit: 1, backoffMs: 1_000, jitter: 0 } });
    process.register('type', {
      processItem: (payload: string, { attempt }) => {
        const { waiting, delayed } = process.counts();
        expect(waiting + delayed).toBeLessThanOrEqual(4 + 1);
        if (payload === 'fails' && attempt === 1) throw new Error('once');
      },
    });
    const failing = process.distributeWork(
      'type',
      Array.from({ length: 12 }, () => 'fails'),
    );
    const good = process.distributeWork(
      'type',
      Array.from({ length: 12 }, () => 'good'),
    );
    await settle();
    expect(process.counts()).toMatchObject({ waiting: 0, running: 0 });
    expect(process.counts().delayed).toBeGreaterThanOrEqual(4);
    expect(process.offer('type', 'good')).toBe(false);
    await process.clock.turn(10_000);
    for (const job of await Promise.all([failing, good])) expect(job.isEnded).toBe(true);
    expect(process.counts()).toMatchObject({ completed: 24, failedAttempts: 12 });
    await process.end();
  });

  it('lets producers in although delayed items keep it fuller than half', async () => {
    const process = start({ maxQueueSize: 8, retry: { limit: 1, backoffMs: 1_000_000, jitter: 0 } });
    process.register('type', {
      processItem: (payload: string) => {
        if (payload === 'fails') throw new Error('fails');
      },
    });
    await process.distributeWork(
      'type',
      Array.from({ length: 6 }, () => 'fails'),
    );
    await settle();
    expect(process.counts().delayed).toBe(6);
    const job = await process.distributeWork(
      'type',
      Array.from({ length: 20 }, () => 'good'),
    );
    expect(await job.completed).toMatchObject({ done: 20 });
    expect(process.clock.now()).toBe(0);
    await process.end();
  });

  it('takes nothing more of an array whose job was cancelled, and lets its producer go', async () => {
    const process = start({ maxQueueSize: 2 });
    let handled = 0;
    process.register('type', {
      processItem: async (_: number, context: ItemContext) => {
        await settle();
        if (++handled === 2) await (await process.findJob(context.jobId))!.cancel();
      },
    });
    const job = await process.distributeWork(
      'type',
      Array.from({ length: 10 }, (_, i) => i),
    );
    expect(job.isCancelled).toBe(true);
    await process.waitForCompletion();
    expect(await job.completed).toMatchObject({ status: 'cancelled', done: 2 });
    expect(process.counts().submitted).toBeLessThan(6);
    expect(handled).toBe(2);
    await process.end();
  });

  it('keeps its bound, its order of a job, and everything that was submitted, under any load', async () => {
    const submissions = fc.array(
      fc.record({ kind: fc.constantFrom('item', 'array', 'stream', 'async'), count: fc.nat({ max: 40 }) }),
      { minLength: 1, maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(
        submissions,
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 3 }),
        async (works, maxQueueSize, maxConcurrency) => {
          const process = start({ maxQueueSize, maxConcurrency, scalingThreshold: 1 });
          const seen = works.map((): number[] => []);
          let mostHeld = 0;
          process.register('type', {
            processItem: async ([work, index]: [number, number]) => {
              seen[work]!.push(index);
              mostHeld = Math.max(mostHeld, process.counts().waiting);
              if (index % 5 === 0) await settle();
            },
          });
          const jobs = works.map(({ kind, count }, work) => {
            const payloads = Array.from({ length: count }, (_, index) => [work, index]);
            const source: unknown = {
              item: { only: payloads },
              array: payloads,
              stream: payloads.values(),
              async: (async function* () {
                yield* payloads;
              })(),
            }[kind];
            return kind === 'item'
              ? process.distributeWork('type', [[work, 0]])
              : process.distributeWork('type', source);
          });
          await Promise.all(jobs);
          await process.waitForCompletion();
          expect(mostHeld).toBeLessThanOrEqual(maxQueueSize);
          works.forEach(({ kind, count }, work) => {
            const expected = Array.from({ length: kind === 'item' ? 1 : count }, (_, index) => index);
            expect(seen[work]).toEqual(expected);
          });
          await process.end();
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('a producer that leaves the line', () => {
  it('leaves nothing of its turn to the next one', () => {
    const queue = { type: 'work', held: 5_000, waiting: 5_000, running: 0, ended: 0 };
    const bounds = { maxQueueSize: 5_000, maxWaitingProducers: 10 };
    const admission = new Admission(queue, bounds, new ManualClock(), () => undefined);
    const shares: [string, number][] = [];
    const producer = (name: string) => ({
      proceed: (room: number) => {
        shares.push([name, room]);
        queue.held += room;
        return false;
      },
      refuse: () => undefined,
    });
    const first = producer('first');
    for (const joining of [first, producer('second'), producer('third')]) admission.join(joining);
    queue.waiting = 0;
    queue.held = 4_900;
    admission.roomMade();
    // Cut short by the room, it stays the first, with what is left of its turn.
    expect(shares).toEqual([['first', 100]]);
    admission.leave(first);
    queue.held = 3_000;
    admission.roomMade();
    expect(shares.slice(1)).toEqual([
      ['second', 1_024],
      ['third', 976],
    ]);
    admission.close();
  });
});

describe('many waiting jobs of one item', () => {
  it('are cancelled one by one without a look at all the others', async () => {
    const process = start({ maxQueueSize: 200_000 });
    process.register('type', { processItem: () => undefined });
    void process.pause('type');
    const jobs: Job[] = [];
    for (let count = 0; count < 100_000; count++) jobs.push(await process.distributeWork('type', count));
    for (const job of jobs) void job.cancel();
    expect(process.counts()).toMatchObject({ submitted: 100_000, cancelled: 100_000, waiting: 0 });
    await process.end();
  });
});

describe('a handler that distributes to its own full type', () => {
  it('is held at the bound, however long that takes, and somebody is told once', async () => {
    const process = start({ maxQueueSize: 2, maxConcurrency: 1 });
    const standstills = process.heard('standstill');
    let mostWaiting = 0;
    process.register('type', {
      processItem: async (payload: number) => {
        if (payload === 0) await process.distributeWork('type', [1, 1, 1, 1, 1, 1, 1, 1]);
      },
      timeoutMs: 30_000,
      retry: { limit: 0 },
    });
    await process.distributeWork('type', 0);
    for (let turn = 0; turn < 29; turn++) {
      await process.clock.turn(1_000);
      mostWaiting = Math.max(mostWaiting, process.counts().waiting);
    }
    expect(mostWaiting).toBe(2);
    expect(standstills).toEqual([{ type: 'type', waitingProducers: 1, running: 1, forMs: 5_000 }]);
    // Its time limit ends it; what it had submitted is worked on.
    await process.clock.turn(10_000);
    expect(process.counts()).toMatchObject({ completed: 8, dead: 1, waiting: 0 });
    await process.end();
  });

  it('is told of again when it stands still once more after it had moved', async () => {
    const process = start({ maxQueueSize: 1 });
    const standstills = process.heard('standstill');
    const gates = [deferred(), deferred()];
    process.register('type', { processItem: (place: number) => gates[place]?.promise });
    for (const place of [0, 1]) {
      await process.distributeWork('type', place);
      await settle();
      const filling = process.distributeWork('type', [2, 3, 4]);
      await process.clock.turn(12_000);
      expect(standstills).toHaveLength(place + 1);
      gates[place]!.resolve();
      await filling;
      await process.waitForCompletion();
    }
    await process.end();
  });

  it('does not stand still while one item ends and the dead letter of another is redriven', async () => {
    const process = start({ maxQueueSize: 2, maxConcurrency: 2, scalingThreshold: 1, retry: { limit: 0 } });
    const standstills = process.heard('standstill');
    const gates = [deferred(), deferred()];
    process.register('type', {
      processItem: async (place: number) => {
        if (place < 0) throw new Error('dies');
        await gates[place]?.promise;
      },
    });
    await (
      await process.distributeWork('type', -1)
    ).completed;
    await process.distributeWork('type', [0, 1]);
    await settle();
    const filling = process.distributeWork('type', [2, 3, 4, 5, 6]);
    await process.clock.turn(1_000);
    void process.pause('type');
    gates[0]!.resolve();
    await settle();
    await process.redriveDeadLetters({ type: 'type' });
    await process.clock.turn(4_500);
    expect(process.counts()).toMatchObject({ completed: 1, running: 1, dead: 0 });
    expect(standstills).toEqual([]);
    void process.resume('type');
    gates[1]!.resolve();
    await filling;
    await process.waitForCompletion();
    await process.end();
  });

  it('is not let in beyond the bound while the queue moves, nor while it is only paused', async () => {
    const process = start({ maxQueueSize: 2 });
    const gates = [deferred(), deferred(), deferred()];
    let handled = 0;
    process.register('type', { processItem: () => gates[handled++]?.promise });
    const all = process.distributeWork('type', [1, 2, 3, 4, 5, 6]);
    await process.clock.turn(900);
    gates[0]!.resolve();
    await process.clock.turn(900);
    expect(process.counts()).toMatchObject({ waiting: 2 });
    gates[1]!.resolve();
    void process.pause('type');
    gates[2]!.resolve();
    await process.clock.turn(10_000);
    expect(process.counts().waiting).toBeLessThanOrEqual(2);
    void process.resume('type');
    await all;
    await process.end();
  });
});

describe('the event loop', () => {
  it.each([
    ['synchronous item', { processItem: () => undefined }],
    ['asynchronous item', { processItem: async () => undefined }],
    ['synchronous batch', { processBatch: () => undefined, batchSize: 10 }],
    [
      'failing item',
      {
        processItem: () => {
          throw failure;
        },
        retry: { limit: 0 },
        maxDeadLetters: MILLION,
      },
    ],
  ])('has its turns while a million items pass %s handlers', async (_, definition) => {
    const process = new WorkerProcess({ maxQueueSize: MILLION });
    process.register('type', definition);
    const count = 'retry' in definition ? MILLION / 10 : MILLION;
    const job = await process.distributeWork('type', new Array(count).fill(0));
    let turns = 0;
    let isOver = false;
    const turn = () => {
      turns++;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    await job.completed;
    isOver = true;
    expect(turns).toBeGreaterThan(3);
    await new Promise((resolve) => setImmediate(resolve));
    await process.shutdown();
  });

  it('has its turns while an endless source is read that never waits', async () => {
    const process = new WorkerProcess({ maxQueueSize: MILLION, maxConcurrency: 1 });
    process.register('type', { processItem: () => undefined });
    const reading = { isOver: false };
    setImmediate(() => setImmediate(() => (reading.isOver = true)));
    const job = await process.distributeWork(
      'type',
      (function* () {
        while (!reading.isOver) yield 0;
      })(),
    );
    expect(await job.completed).toMatchObject({ status: 'completed' });
    await process.shutdown();
  });

  const failure = new Error('fails');
});
