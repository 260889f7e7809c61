import { describe, expect, it } from '@jest/globals';
import {
  JobCancelledError,
  UnknownWorkerTypeError,
  type ItemContext,
  type WorkerProcess,
} from '../../src/index.js';
import type { Priority } from '../../src/core/priority.js';
import { deferred } from '../support/deferred.js';
import { engines, processesOn, progressOf } from './engines.js';
import { Seen } from './seen.js';

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number);
}

/** Handlers that stay until the gate opens. */
function gated(process: WorkerProcess) {
  const gate = deferred();
  const started = new Seen<number>();
  const aborted = new Seen<unknown>();
  process.register('type', {
    processItem: async (payload: number, { signal }: ItemContext) => {
      signal.addEventListener('abort', () => aborted.add(signal.reason));
      started.add(payload);
      await gate.promise;
    },
  });
  return { gate, started, aborted };
}

/** Keeps what starts, and when. */
function startsOf(process: WorkerProcess): Seen<{ payload: unknown; atMs: number }> {
  const seen = new Seen<{ payload: unknown; atMs: number }>();
  process.register('type', {
    processItem: (payload: unknown) => seen.add({ payload, atMs: Date.now() }),
  });
  return seen;
}

/** The lanes of all items, in the order in which they started. */
async function startedOf(
  process: WorkerProcess,
  counts: Readonly<Record<Priority, number>>,
): Promise<Priority[]> {
  const seen = new Seen<Priority>();
  process.register('type', { priorities: true, processItem: (payload: Priority) => seen.add(payload) });
  await process.pause('type');
  let all = 0;
  for (const priority of ['low', 'normal', 'high'] as const) {
    const items = Array.from({ length: counts[priority] }, () => priority);
    all += items.length;
    await process.distributeWork('type', items, priority === 'normal' ? {} : { priority });
  }
  await process.resume('type');
  return [...(await seen.reach(all))];
}

describe.each(engines)('cancel on $name', (engine) => {
  const processes = processesOn(engine);

  it('drops what waits and aborts the signal of what runs', async () => {
    const process = processes.start({ maxConcurrency: 1 });
    const { gate, started, aborted } = gated(process);
    const job = await process.distributeWork('type', numbers(2_000));
    await started.reach(1);
    await job.cancel();
    const [reason] = await aborted.reach(1);
    expect(reason).toBeInstanceOf(JobCancelledError);
    gate.resolve();
    const result = await job.completed;
    expect(result).toMatchObject({ status: 'cancelled', total: 2_000, failed: 0 });
    expect(result.done + result.cancelled).toBe(2_000);
    await process.waitForCompletion();
    expect(started.all).toEqual([0]);
    expect(await process.depth('type')).toMatchObject({ waiting: { items: 0 }, active: { items: 0 } });
  });

  it('counts as done what completes all the same', async () => {
    const process = processes.start({ maxConcurrency: 1 });
    const { gate, started, aborted } = gated(process);
    const job = await process.distributeWork('type', [0, 1, 2]);
    await started.reach(1);
    const cancelled = job.cancel();
    await aborted.reach(1);
    gate.resolve();
    await cancelled;
    expect(await job.completed).toMatchObject({ status: 'cancelled', total: 3 });
    // On a durable engine, the job has ended with the cancel, and its record counts what still ran.
    await process.waitForCompletion();
    const known = (await process.findJob(job.id)) ?? job;
    expect(known.progress()).toMatchObject({ done: 1, cancelled: 2 });
  });

  it('tries nothing again that fails after it', async () => {
    const process = processes.start({ maxConcurrency: 1 });
    const started = new Seen<number>();
    process.register('type', {
      processItem: async (payload: number, { signal }: ItemContext) => {
        const ended = new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason as Error)),
        );
        started.add(payload);
        await ended;
      },
    });
    const job = await process.distributeWork('type', [0, 1]);
    await started.reach(1);
    await job.cancel();
    expect(await job.completed).toMatchObject({ status: 'cancelled', done: 0, failed: 0, cancelled: 2 });
    await process.waitForCompletion();
    expect(started.all).toEqual([0]);
    expect(await process.deadLetters()).toEqual([]);
  });

  it('leaves other jobs alone', async () => {
    const process = processes.start();
    const seen = new Seen<string>();
    process.register('type', { processItem: (payload: string) => seen.add(payload) });
    await process.pause('type');
    const kept = await process.distributeWork('type', ['kept', 'kept']);
    const dropped = await process.distributeWork('type', ['dropped', 'dropped']);
    const alone = await process.distributeWork('type', 'alone', { track: true });
    await dropped.cancel();
    await process.resume('type');
    await Promise.all([kept.completed, dropped.completed, alone.completed]);
    await process.waitForCompletion();
    expect(seen.all.toSorted()).toEqual(['alone', 'kept', 'kept']);
    expect(await dropped.completed).toMatchObject({ status: 'cancelled', cancelled: 2 });
  });

  it('drops what is delayed', async () => {
    const process = processes.start();
    const seen = new Seen<number>();
    process.register('type', { processItem: (payload: number) => seen.add(payload) });
    const job = await process.distributeWork('type', [1, 2], { delayMs: 300 });
    await job.cancel();
    expect(await job.completed).toMatchObject({ status: 'cancelled', cancelled: 2, done: 0 });
    await process.waitForCompletion();
    expect(seen.all).toEqual([]);
  });

  it('stops reading the source', async () => {
    const process = processes.start();
    const { gate, started } = gated(process);
    const returned = deferred();
    let read = 0;
    async function* source() {
      try {
        for (;;) {
          yield read++;
          await new Promise((resolve) => setImmediate(resolve));
        }
      } finally {
        returned.resolve();
      }
    }
    const job = await process.distributeWork('type', source());
    await started.reach(1);
    await job.cancel();
    await returned.promise;
    gate.resolve();
    const result = await job.completed;
    expect(result).toMatchObject({ status: 'cancelled', failed: 0 });
    expect(result.done + result.cancelled).toBe(result.total);
    await process.waitForCompletion();
  });

  it('comes by a signal', async () => {
    const process = processes.start({ maxConcurrency: 1 });
    const { gate, started, aborted } = gated(process);
    const controller = new AbortController();
    const job = await process.distributeWork('type', [0, 1, 2], { signal: controller.signal });
    await started.reach(1);
    controller.abort();
    await aborted.reach(1);
    gate.resolve();
    const result = await job.completed;
    expect(result).toMatchObject({ status: 'cancelled', total: 3, failed: 0 });
    expect(job.isCancelled).toBe(true);
    await process.waitForCompletion();
    expect(started.all).toEqual([0]);
  });

  it('comes by a signal that has aborted before', async () => {
    const process = processes.start();
    const { started } = gated(process);
    const job = await process.distributeWork('type', [0, 1], { signal: AbortSignal.abort() });
    expect(await job.completed).toMatchObject({ status: 'cancelled', done: 0 });
    await process.waitForCompletion();
    expect(started.all).toEqual([]);
  });

  it('leaves a job that has ended as it is', async () => {
    const process = processes.start();
    process.register('type', { processItem: () => undefined });
    const job = await process.distributeWork('type', [0, 1]);
    expect(await job.completed).toMatchObject({ status: 'completed', done: 2 });
    await job.cancel();
    expect(await job.completed).toMatchObject({ status: 'completed', done: 2, cancelled: 0 });
    expect(await progressOf(process, job)).toMatchObject({ done: 2, cancelled: 0 });
    expect(job.isCancelled).toBe(false);
  });

  it('leaves a job that has ended as it is, also one whose end nobody has asked for', async () => {
    const process = processes.start();
    process.register('type', { processItem: () => undefined });
    const job = await process.distributeWork('type', [0, 1]);
    await process.waitForCompletion();
    await job.cancel();
    expect(await job.completed).toMatchObject({ status: 'completed', done: 2, cancelled: 0 });
  });
});

describe.each(engines)('pauses on $name', (engine) => {
  const processes = processesOn(engine);

  it('start nothing, let run what runs, and end at resume', async () => {
    const process = processes.start({ maxConcurrency: 1 });
    const told = new Seen<string>();
    process.on('paused', ({ reason }) => told.add(`paused: ${reason}`));
    process.on('resumed', ({ reason }) => told.add(`resumed: ${reason}`));
    const { gate, started } = gated(process);
    const running = await process.distributeWork('type', 0, { track: true });
    await started.reach(1);
    await process.pause('type');
    const job = await process.distributeWork('type', [1, 2]);
    gate.resolve();
    expect(await running.completed).toMatchObject({ done: 1 });
    expect(await process.depth('type')).toMatchObject({ waiting: { items: 2 }, active: { items: 0 } });
    expect(started.all).toEqual([0]);
    await process.resume('type');
    expect(await job.completed).toMatchObject({ done: 2 });
    expect(told.all).toEqual(['paused: requested', 'resumed: requested']);
  });

  it('leave what is leased already where it is', async () => {
    const process = processes.start({ maxConcurrency: 1 });
    const { gate, started } = gated(process);
    const job = await process.distributeWork('type', numbers(100));
    await started.reach(1);
    await process.pause('type');
    gate.resolve();
    const none = await Promise.race([
      started.reach(2).then(() => 'another started'),
      process.waitForCompletion('type').then(() => 'ended'),
      new Promise((resolve) => setTimeout(resolve, 300, 'none')),
    ]);
    expect(none).toBe('none');
    await process.resume('type');
    expect(await job.completed).toMatchObject({ done: 100 });
  });

  it('may come before anything else, twice, and for one type', async () => {
    const process = processes.start();
    const { gate, started } = gated(process);
    process.register('other', { processItem: () => undefined });
    await process.pause('type');
    await process.pause('type');
    const job = await process.distributeWork('type', [1]);
    const other = await process.distributeWork('other', [1]);
    expect(await other.completed).toMatchObject({ done: 1 });
    expect(started.all).toEqual([]);
    gate.resolve();
    await process.resume('type');
    expect(await job.completed).toMatchObject({ done: 1 });
    await expect(process.pause('unknown')).rejects.toThrow(UnknownWorkerTypeError);
    await expect(process.resume('unknown')).rejects.toThrow(UnknownWorkerTypeError);
  });
});

describe.each(engines)('delays on $name', (engine) => {
  const processes = processesOn(engine);
  /** What a machine that has other work to do may add. */
  const LATE_MS = 5_000;

  it.each([
    ['one item', 1],
    ['an array', numbers(20)],
  ])('hold %s back for delayMs', async (_kind, source) => {
    const process = processes.start();
    const seen = startsOf(process);
    const submittedMs = Date.now();
    const job = await process.distributeWork('type', source, { delayMs: 250, track: true });
    await job.completed;
    for (const { atMs } of seen.all) {
      expect(atMs - submittedMs).toBeGreaterThanOrEqual(250 - 1);
      expect(atMs - submittedMs).toBeLessThan(250 + LATE_MS);
    }
    expect(await job.completed).toMatchObject({ status: 'completed' });
  });

  it('hold the items of a stream back', async () => {
    const process = processes.start();
    const seen = startsOf(process);
    const submittedMs = Date.now();
    const job = await process.distributeWork('type', new Set(numbers(20)), { delayMs: 250 });
    await seen.reach(20);
    for (const { atMs } of seen.all) expect(atMs - submittedMs).toBeGreaterThanOrEqual(250 - 1);
    await process.waitForCompletion();
    expect(await job.completed).toMatchObject({ done: 20 });
  });

  it('hold items back until runAt', async () => {
    const process = processes.start();
    const seen = startsOf(process);
    const runAt = new Date(Date.now() + 333);
    const job = await process.distributeWork('type', ['later'], { runAt });
    await job.completed;
    expect(seen.all[0]!.atMs).toBeGreaterThanOrEqual(runAt.getTime() - 1);
    expect(seen.all[0]!.atMs).toBeLessThan(runAt.getTime() + LATE_MS);
  });

  it('let others go before', async () => {
    const process = processes.start({ maxConcurrency: 1 });
    const seen = startsOf(process);
    const jobs = [
      await process.distributeWork('type', ['latest'], { delayMs: 700 }),
      await process.distributeWork('type', ['later'], { delayMs: 350 }),
      await process.distributeWork('type', ['now'], { runAt: new Date(0) }),
      await process.distributeWork('type', ['now'], { delayMs: 0 }),
    ];
    await Promise.all(jobs.map(({ completed }) => completed));
    expect(seen.all.map(({ payload }) => payload)).toEqual(['now', 'now', 'later', 'latest']);
  });

  it('hold a retry back as well, by its own delay', async () => {
    const process = processes.start({ retry: { limit: 1, backoffMs: 150, jitter: 0 } });
    const times: number[] = [];
    process.register('type', {
      processItem: (_: unknown, { attempt }: ItemContext) => {
        times.push(Date.now());
        if (attempt === 1) throw new Error('again');
      },
    });
    const submittedMs = Date.now();
    const job = await process.distributeWork('type', ['a'], { delayMs: 200 });
    expect(await job.completed).toMatchObject({ done: 1 });
    expect(times[0]! - submittedMs).toBeGreaterThanOrEqual(199);
    expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(149);
  });
});

describe.each(engines)('priorities on $name', (engine) => {
  const processes = processesOn(engine);

  it('let high items of a backlog start before low ones', async () => {
    const process = processes.start({ maxConcurrency: 1 });
    // Several chunks of each: an idle process is given the first of every lane at once.
    const started = await startedOf(process, { high: 2_100, normal: 2_100, low: 2_100 });
    const meanPlace = (priority: Priority) => {
      const places = started.flatMap((one, place) => (one === priority ? [place] : []));
      return places.reduce((sum, place) => sum + place, 0) / places.length;
    };
    expect(meanPlace('high')).toBeLessThan(meanPlace('normal'));
    expect(meanPlace('normal')).toBeLessThan(meanPlace('low'));
  });

  it('do not starve low items', async () => {
    const process = processes.start({ maxConcurrency: 1 });
    // Several chunks of each: an idle process is given the first of every lane at once.
    const started = await startedOf(process, { high: 2_100, normal: 0, low: 21 });
    const lastHigh = started.lastIndexOf('high');
    const lowBefore = started.slice(0, lastHigh).filter((one) => one === 'low').length;
    expect(lowBefore).toBeGreaterThanOrEqual(10);
  });

  it('hold in a mixture of single items', async () => {
    const process = processes.start({ maxConcurrency: 1 });
    const seen = new Seen<Priority>();
    process.register('type', { priorities: true, processItem: (payload: Priority) => seen.add(payload) });
    await process.pause('type');
    for (let time = 0; time < 30; time++) {
      for (const priority of ['low', 'high'] as const)
        await process.distributeWork('type', priority, { priority });
    }
    await process.resume('type');
    await seen.reach(60);
    expect(seen.all.slice(0, 30).filter((one) => one === 'high').length).toBeGreaterThan(20);
    await process.waitForCompletion();
  });

  it('are kept by retries', async () => {
    const process = processes.start({ maxConcurrency: 1 });
    const seen = new Seen<number>();
    process.register('type', {
      priorities: true,
      processItem: (_: string, { attempt }: ItemContext) => {
        seen.add(attempt);
        if (attempt < 3) throw new Error('again');
      },
    });
    const job = await process.distributeWork('type', ['a'], { priority: 'low' });
    expect(await job.completed).toMatchObject({ status: 'completed', done: 1 });
    expect(seen.all).toEqual([1, 2, 3]);
  });
});

describe.each(engines)('rate limits on $name', (engine) => {
  const processes = processesOn(engine);

  it('let as many attempts start as they say, within a tenth', async () => {
    const process = processes.start({ maxConcurrency: 4 });
    const max = 100;
    const durationMs = 1_000;
    const starts = new Seen<number>();
    process.register('type', {
      rateLimit: { max, durationMs },
      processItem: () => starts.add(performance.now()),
    });
    await process.distributeWork('type', numbers(400));
    const times = await starts.reach(400);
    // After the burst at the start, which is a tenth.
    const passedMs = times.at(-1)! - times[0]!;
    const allowed = (max * passedMs) / durationMs;
    expect(times.length).toBeLessThanOrEqual(allowed * 1.1 + max / 10);
    expect(times.length).toBeGreaterThanOrEqual(allowed * 0.9);
    for (const [place, atMs] of times.entries()) {
      const inSecond = times.filter((other) => other >= atMs && other < atMs + durationMs).length;
      expect([place, inSecond <= max * 1.1 + max / 10]).toEqual([place, true]);
    }
  });

  it('count retries too', async () => {
    const process = processes.start({ maxConcurrency: 4, retry: { limit: 1, backoffMs: 0, jitter: 0 } });
    const starts = new Seen<number>();
    process.register('type', {
      rateLimit: { max: 20, durationMs: 1_000 },
      processItem: (_: number, { attempt }: ItemContext) => {
        starts.add(performance.now());
        if (attempt === 1) throw new Error('again');
      },
    });
    const job = await process.distributeWork('type', numbers(20));
    await starts.reach(40);
    expect(await job.completed).toMatchObject({ done: 20 });
    const passedMs = starts.all.at(-1)! - starts.all[0]!;
    // 40 starts, 2 of them at once.
    expect(passedMs).toBeGreaterThanOrEqual(((40 - 2) / 20) * 1_000 * 0.9 - 50);
    expect(passedMs).toBeLessThan(6_000);
  });
});
