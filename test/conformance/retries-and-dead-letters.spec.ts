import { describe, expect, it } from '@jest/globals';
import {
  DeadLettersFullError,
  RejectedLetterError,
  RetryLaterError,
  TimeLimitError,
  UnknownWorkerTypeError,
  UnrecoverableError,
  type BatchContext,
  type DeadLetter,
  type ItemContext,
  type WorkerProcess,
  type WorkerProcessEvents,
} from '../../src/index.js';
import { deferred } from '../support/deferred.js';
import { engines, processesOn, progressOf } from './engines.js';
import { Seen } from './seen.js';

interface Attempt {
  readonly payload: string;
  readonly id: string;
  readonly attempt: number;
  readonly atMs: number;
}

/** Keeps all attempts, and fails those that `failure` gives an error for. */
function attemptsOf(
  process: WorkerProcess,
  failure: (payload: string, attempt: number) => unknown,
  options: object = {},
): Seen<Attempt> {
  const seen = new Seen<Attempt>();
  process.register('type', {
    ...options,
    processItem: (payload: string, { id, attempt }: ItemContext) => {
      seen.add({ payload, id, attempt, atMs: performance.now() });
      const error = failure(payload, attempt);
      if (error !== undefined) throw error;
    },
  });
  return seen;
}

const always = (): Error => new Error('always');

describe.each(engines)('retries on $name', (engine) => {
  const processes = processesOn(engine);

  it('run the item again under the same id, with the next number', async () => {
    const process = processes.start();
    const seen = attemptsOf(process, (_, attempt) => (attempt < 4 ? always() : undefined));
    const job = await process.distributeWork('type', ['a']);
    expect(await job.completed).toMatchObject({ status: 'completed', done: 1, failed: 0 });
    expect(seen.all.map(({ payload, id, attempt }) => [payload, id, attempt])).toEqual(
      [1, 2, 3, 4].map((attempt) => ['a', `${job.id}:0`, attempt]),
    );
  });

  it('run an item again that is alone and not tracked', async () => {
    const process = processes.start();
    const seen = attemptsOf(process, (_, attempt) => (attempt < 3 ? always() : undefined));
    const job = await process.distributeWork('type', 'a');
    await seen.reach(3);
    await process.waitForCompletion();
    expect(seen.all.map(({ id, attempt }) => [id, attempt])).toEqual(
      [1, 2, 3].map((attempt) => [`${job.id}:0`, attempt]),
    );
  });

  it('leave the other items of a set alone', async () => {
    const process = processes.start();
    const seen = attemptsOf(process, (payload, attempt) =>
      payload.endsWith('7') && attempt === 1 ? always() : undefined,
    );
    const payloads = Array.from({ length: 600 }, (_, number) => `item ${number}`);
    const job = await process.distributeWork('type', payloads);
    expect(await job.completed).toMatchObject({ status: 'completed', done: 600 });
    expect(seen.all.filter(({ attempt }) => attempt === 1)).toHaveLength(600);
    const again = seen.all.filter(({ attempt }) => attempt === 2);
    expect(again.map(({ payload }) => payload).toSorted()).toEqual(
      payloads.filter((payload) => payload.endsWith('7')).toSorted(),
    );
    for (const { id, payload } of again) expect(id).toBe(`${job.id}:${payload.slice('item '.length)}`);
    expect(seen.all).toHaveLength(660);
  });

  it('run only those items of a batch again that failed', async () => {
    const process = processes.start();
    const seen: { payload: number; id: string; attempt: number }[] = [];
    process.register('type', {
      batchSize: 10,
      processBatch: (payloads: readonly number[], context: BatchContext) => {
        for (const [place, payload] of payloads.entries()) {
          const attempt = context.attempt(place);
          seen.push({ payload, id: context.itemId(place), attempt });
          if (payload % 4 === 0 && attempt < 3) context.fail(place, always());
        }
      },
    });
    const job = await process.distributeWork(
      'type',
      Array.from({ length: 20 }, (_, number) => number),
    );
    expect(await job.completed).toMatchObject({ status: 'completed', done: 20 });
    const attemptsFor = (payload: number) =>
      seen.filter((one) => one.payload === payload).map(({ attempt }) => attempt);
    for (let payload = 0; payload < 20; payload++) {
      expect(attemptsFor(payload)).toEqual(payload % 4 === 0 ? [1, 2, 3] : [1]);
    }
    for (const { payload, id } of seen) expect(id).toBe(`${job.id}:${payload}`);
  });

  it('run all items of a batch again whose handler threw', async () => {
    const process = processes.start();
    const seen: number[] = [];
    process.register('type', {
      processBatch: (payloads: readonly number[], context: BatchContext) => {
        for (const place of payloads.keys()) seen.push(context.attempt(place));
        if (context.attempt(0) === 1) throw always();
      },
    });
    const job = await process.distributeWork('type', [1, 2, 3]);
    expect(await job.completed).toMatchObject({ status: 'completed', done: 3 });
    expect(seen.filter((attempt) => attempt === 1)).toHaveLength(3);
    expect(seen.filter((attempt) => attempt === 2)).toHaveLength(3);
  });

  it('wait for the backoff, which grows', async () => {
    const process = processes.start();
    const retry = { limit: 3, backoffMs: 100, factor: 2, maxBackoffMs: 150, jitter: 0 };
    const retries = new Seen<WorkerProcessEvents['retry']>();
    process.on('retry', retries.add);
    const seen = attemptsOf(process, (_, attempt) => (attempt < 4 ? always() : undefined), { retry });
    const job = await process.distributeWork('type', ['a']);
    await job.completed;
    const times = seen.all.map(({ atMs }) => atMs);
    const waits = times.slice(1).map((atMs, place) => atMs - times[place]!);
    // Read from two clocks, which may stand a millisecond apart.
    for (const [place, leastMs] of [100, 150, 150].entries()) {
      expect(waits[place]).toBeGreaterThanOrEqual(leastMs - 1);
      expect(waits[place]).toBeLessThan(leastMs + 3_000);
    }
    expect(retries.all.map(({ attempt, delayMs, itemId }) => [attempt, delayMs, itemId])).toEqual(
      [100, 150, 150].map((delayMs, place) => [place + 1, delayMs, `${job.id}:0`]),
    );
  });

  it('wait as long as a RetryLaterError says', async () => {
    const process = processes.start();
    const seen = attemptsOf(process, (_, attempt) => (attempt === 1 ? new RetryLaterError(300) : undefined));
    const job = await process.distributeWork('type', ['a']);
    expect(await job.completed).toMatchObject({ done: 1 });
    const [first, second] = seen.all;
    expect(second!.atMs - first!.atMs).toBeGreaterThanOrEqual(299);
    expect(second!.atMs - first!.atMs).toBeLessThan(5_000);
  });

  it('can be run now', async () => {
    const process = processes.start();
    const seen = attemptsOf(process, (_, attempt) =>
      attempt === 1 ? new RetryLaterError(60_000) : undefined,
    );
    const job = await process.distributeWork('type', ['a', 'b', 'c']);
    await seen.reach(3);
    let released = 0;
    // What has failed takes its way to the store before it can be released.
    while (released < 3) released += await process.retryFailedItems('type');
    expect(released).toBe(3);
    expect(await job.completed).toMatchObject({ done: 3 });
    expect(await process.retryFailedItems()).toBe(0);
    await expect(process.retryFailedItems('unknown')).rejects.toThrow(UnknownWorkerTypeError);
  });

  it('leave what is delayed, but no retry, when they are run now', async () => {
    const process = processes.start();
    const seen = attemptsOf(process, () => undefined);
    await process.distributeWork('type', ['later'], { delayMs: 60_000 });
    await process.retryFailedItems('type');
    const job = await process.distributeWork('type', ['now']);
    await job.completed;
    expect(seen.all.map(({ payload }) => payload)).toEqual(['now']);
    expect(await process.depth('type')).toMatchObject({ delayed: { items: 1 } });
  });
});

describe.each(engines)('time limits on $name', (engine) => {
  const processes = processesOn(engine);

  it('abort the attempt, replace the worker and count the attempt as failed', async () => {
    const process = processes.start();
    const end = deferred();
    const retired = new Seen<WorkerProcessEvents['workerRetired']>();
    process.on('workerRetired', retired.add);
    const reasons = new Seen<unknown>();
    const attempts: number[] = [];
    process.register('type', {
      timeoutMs: 200,
      processItem: async (_: string, { signal, attempt }: ItemContext) => {
        attempts.push(attempt);
        if (attempt > 1) return;
        signal.addEventListener('abort', () => reasons.add(signal.reason));
        await end.promise;
      },
    });
    const job = await process.distributeWork('type', ['a']);
    expect(await job.completed).toMatchObject({ status: 'completed', done: 1 });
    expect(attempts).toEqual([1, 2]);
    expect(retired.all).toEqual([{ type: 'type', itemIds: [`${job.id}:0`], timeoutMs: 200, abandoned: 1 }]);
    expect(reasons.all[0]).toBeInstanceOf(TimeLimitError);
    end.resolve();
  });

  it('make a dead letter of what passes them each time, and ignore what its handlers do later', async () => {
    const process = processes.start({ maxAbandoned: 10 });
    const end = deferred();
    process.register('type', {
      timeoutMs: 100,
      retry: { limit: 1, backoffMs: 10 },
      processItem: () => end.promise,
    });
    const job = await process.distributeWork('type', ['a']);
    expect(await job.completed).toMatchObject({ status: 'completed-with-failures', failed: 1 });
    end.resolve();
    const [letter] = await process.deadLetters();
    expect(letter).toMatchObject({ reason: 'attempts-exhausted', attempts: 2 });
    expect(letter!.error).toMatchObject({ name: 'TimeLimitError', code: 'TIME_LIMIT' });
    expect(await progressOf(process, job)).toMatchObject({ done: 0, failed: 1 });
  });
});

describe.each(engines)('dead letters on $name', (engine) => {
  const processes = processesOn(engine);

  it('are what has used up its attempts', async () => {
    const process = processes.start({ retry: { limit: 2, backoffMs: 10 } });
    const told = new Seen<DeadLetter>();
    process.on('deadLetter', told.add);
    const seen = attemptsOf(process, (payload, attempt) => new RangeError(`${payload} ${attempt}`));
    const beforeMs = Date.now();
    const job = await process.distributeWork('type', ['a']);
    expect(await job.completed).toMatchObject({ status: 'completed-with-failures', done: 0, failed: 1 });
    expect(seen.all.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    const letters = await process.deadLetters();
    expect(letters).toHaveLength(1);
    for (const letter of [letters[0]!, told.all[0]!]) {
      expect(letter).toMatchObject({
        id: `${job.id}:0`,
        type: 'type',
        jobId: job.id,
        index: 0,
        payload: 'a',
        reason: 'attempts-exhausted',
        attempts: 3,
        sequence: letters[0]!.sequence,
      });
      expect(letter.error).toBeInstanceOf(Error);
      expect(letter.error).toMatchObject({ name: 'RangeError', message: 'a 3' });
      expect(letter.error.stack).toContain('retries-and-dead-letters');
      expect(letter.diedAtMs).toBeGreaterThanOrEqual(beforeMs - 1);
      expect(letter.diedAtMs).toBeLessThanOrEqual(Date.now() + 1);
    }
    expect(told.all).toHaveLength(1);
  });

  it('come of a limit of 0 at the first failure', async () => {
    const process = processes.start({ retry: { limit: 0 } });
    const seen = attemptsOf(process, always);
    const job = await process.distributeWork('type', ['a', 'b']);
    expect(await job.completed).toMatchObject({ failed: 2 });
    expect(seen.all).toHaveLength(2);
  });

  it('come of an untracked item too', async () => {
    const process = processes.start({ retry: { limit: 0 } });
    attemptsOf(process, always);
    const told = new Seen<DeadLetter>();
    process.on('deadLetter', told.add);
    const job = await process.distributeWork('type', 'a');
    await told.reach(1);
    expect((await process.deadLetters()).map(({ id }) => id)).toEqual([`${job.id}:0`]);
  });

  it.each([
    ['an UnrecoverableError', new UnrecoverableError('never'), {}],
    ['an error that retryable refuses', new Error('never'), { retry: { retryable: () => false } }],
  ])('come of %s at once', async (_kind, error, options) => {
    const process = processes.start();
    const seen = attemptsOf(process, () => error, options);
    const job = await process.distributeWork('type', ['a']);
    expect(await job.completed).toMatchObject({ failed: 1 });
    expect(seen.all).toHaveLength(1);
    const [letter] = await process.deadLetters();
    expect(letter).toMatchObject({ reason: 'unrecoverable', attempts: 1 });
    expect(letter!.error.message).toBe('never');
  });

  it('keep what was thrown that is no error', async () => {
    const process = processes.start({ retry: { limit: 0 } });
    attemptsOf(process, (payload) => payload);
    const job = await process.distributeWork('type', ['just a text']);
    await job.completed;
    const [letter] = await process.deadLetters();
    expect(letter!.error).toMatchObject({ name: 'NonErrorThrownError', code: 'NON_ERROR_THROWN' });
    expect(letter!.error.message).toContain('just a text');
  });

  it('are listed by type, the oldest first, a page at a time', async () => {
    const process = processes.start({ retry: { limit: 0 }, maxConcurrency: 1 });
    attemptsOf(process, always);
    process.register('other', { processItem: () => Promise.reject(always()) });
    const job = await process.distributeWork('type', ['a', 'b', 'c', 'd', 'e']);
    const other = await process.distributeWork('other', ['x']);
    await Promise.all([job.completed, other.completed]);
    const all = await process.deadLetters({ type: 'type' });
    expect(all.map(({ payload }) => payload)).toEqual(['a', 'b', 'c', 'd', 'e']);
    const listed = async (limit: number, after: number) =>
      (await process.deadLetters({ type: 'type', limit, after })).map(({ payload }) => payload);
    expect(await listed(2, 0)).toEqual(['a', 'b']);
    expect(await listed(2, all[1]!.sequence)).toEqual(['c', 'd']);
    expect(await listed(2, all[3]!.sequence)).toEqual(['e']);
    expect(await listed(2, all[4]!.sequence)).toEqual([]);
    expect(await listed(0, 0)).toEqual([]);
    expect(await listed(Infinity, 0)).toHaveLength(5);
    expect(await process.deadLetters()).toHaveLength(6);
    expect((await process.deadLetters({ type: 'other' })).map(({ payload }) => payload)).toEqual(['x']);
    await expect(process.deadLetters({ type: 'unknown' })).rejects.toThrow(UnknownWorkerTypeError);
    await expect(process.deadLetters({ limit: -1 })).rejects.toThrow(/limit/);
  });

  it('run again from their first attempt when they are redriven, and count in their jobs', async () => {
    const process = processes.start({ retry: { limit: 1, backoffMs: 10 } });
    let isBroken = true;
    const seen = attemptsOf(process, (payload) => (isBroken && payload !== 'good' ? always() : undefined));
    const job = await process.distributeWork('type', ['good', 'a', 'b']);
    expect(await job.completed).toMatchObject({ done: 1, failed: 2 });
    isBroken = false;
    const before = seen.all.length;
    expect(await process.redriveDeadLetters({ ids: [`${job.id}:1`] })).toBe(1);
    await seen.reach(before + 1);
    await process.waitForCompletion();
    expect(seen.all.at(-1)).toMatchObject({ payload: 'a', id: `${job.id}:1`, attempt: 1 });
    expect(await progressOf(process, job)).toMatchObject({ done: 2, failed: 1 });
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(1);
    await seen.reach(before + 2);
    await process.waitForCompletion();
    expect(seen.all.at(-1)).toMatchObject({ payload: 'b', id: `${job.id}:2`, attempt: 1 });
    expect(await progressOf(process, job)).toMatchObject({ done: 3, failed: 0 });
    expect(await process.deadLetters()).toEqual([]);
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(0);
    expect(await process.redriveDeadLetters({ ids: [`${job.id}:1`, 'unknown'] })).toBe(0);
  });

  it('may be redriven while their job goes on', async () => {
    const process = processes.start({ retry: { limit: 0 } });
    const gate = deferred();
    let isBroken = true;
    process.register('type', {
      processItem: async (payload: string) => {
        if (payload === 'slow') await gate.promise;
        else if (isBroken) throw always();
      },
    });
    const told = new Seen<DeadLetter>();
    process.on('deadLetter', told.add);
    // More than one worker needs more items than the threshold.
    const payloads = ['slow', ...Array.from({ length: 30 }, () => 'bad')];
    const job = await process.distributeWork('type', payloads);
    await told.reach(30);
    isBroken = false;
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(30);
    gate.resolve();
    expect(await job.completed).toMatchObject({ status: 'completed', done: 31, failed: 0 });
  });

  it('die again when they are redriven too early', async () => {
    const process = processes.start({ retry: { limit: 1, backoffMs: 10 } });
    const seen = attemptsOf(process, always);
    const told = new Seen<DeadLetter>();
    process.on('deadLetter', told.add);
    const job = await process.distributeWork('type', ['a']);
    await job.completed;
    for (let time = 1; time <= 3; time++) {
      expect(await process.redriveDeadLetters({ type: 'type' })).toBe(1);
      await told.reach(time + 1);
      await process.waitForCompletion();
      expect(await progressOf(process, job)).toMatchObject({ done: 0, failed: 1 });
    }
    expect(seen.all.map(({ attempt }) => attempt)).toEqual([1, 2, 1, 2, 1, 2, 1, 2]);
    expect(await process.deadLetters()).toHaveLength(1);
  });

  it('are forgotten when they are discarded', async () => {
    const process = processes.start({ retry: { limit: 0 } });
    attemptsOf(process, always);
    const job = await process.distributeWork('type', ['a', 'b', 'c']);
    await job.completed;
    expect(await process.discardDeadLetters({ ids: [`${job.id}:1`, 'unknown'] })).toBe(1);
    const left = (await process.deadLetters()).map(({ id }) => id).toSorted();
    expect(left).toEqual([`${job.id}:0`, `${job.id}:2`]);
    expect(await process.discardDeadLetters({ type: 'type' })).toBe(2);
    expect(await process.deadLetters()).toEqual([]);
    expect(await process.depth('type')).toMatchObject({ dead: 0 });
    expect(await progressOf(process, job)).toMatchObject({ failed: 3 });
  });

  it('pause the type when they are too many, until some are discarded', async () => {
    const process = processes.start({ retry: { limit: 0 }, maxConcurrency: 1 });
    const paused = new Seen<unknown>();
    const resumed = new Seen<unknown>();
    process.on('paused', paused.add);
    process.on('resumed', resumed.add);
    const seen = attemptsOf(process, (payload) => (payload === 'bad' ? always() : undefined), {
      maxDeadLetters: 2,
    });
    const bad = await process.distributeWork('type', ['bad', 'bad']);
    await bad.completed;
    expect(await paused.reach(1)).toEqual([{ type: 'type', reason: 'dead-letters-full' }]);
    const good = await process.distributeWork('type', ['good']);
    await expect(process.rejectItem('type', 'refused', new Error('no'))).rejects.toThrow(
      DeadLettersFullError,
    );
    expect(await process.depth('type')).toMatchObject({ waiting: { items: 1 }, dead: 2 });
    expect(seen.all).toHaveLength(2);
    await process.discardDeadLetters({ ids: [`${bad.id}:0`] });
    expect(await resumed.reach(1)).toEqual([{ type: 'type', reason: 'dead-letters-full' }]);
    expect(await good.completed).toMatchObject({ status: 'completed', done: 1 });
  });

  it('are made of items that a check refuses, and those are not redriven', async () => {
    const process = processes.start();
    const seen = attemptsOf(process, () => undefined);
    const job = await process.rejectItem('type', { not: 'right' }, new TypeError('expected a text'));
    expect(job.progress()).toMatchObject({ accepted: 1, failed: 1 });
    const [letter] = await process.deadLetters();
    expect(letter).toMatchObject({
      id: `${job.id}:0`,
      reason: 'rejected',
      attempts: 0,
      payload: { not: 'right' },
    });
    expect(letter!.error).toMatchObject({ name: 'TypeError', message: 'expected a text' });
    await expect(process.redriveDeadLetters({ ids: [letter!.id] })).rejects.toThrow(RejectedLetterError);
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(0);
    expect(await process.deadLetters()).toHaveLength(1);
    expect(await process.discardDeadLetters({ ids: [letter!.id] })).toBe(1);
    expect(seen.all).toEqual([]);
  });
});
