import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { inspect } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { JobProcess, type JobProcessSetup } from '../../../src/index.js';
import { deferred, type Deferred } from '../../support/deferred.js';
import { ManualClock, settle } from '../../support/manual-clock.js';
import { FakeStore } from './fake-upload-store.js';

let clock: ManualClock;
let store: FakeStore;
let jobs: JobProcess;
let gates: Map<unknown, Deferred>;
let worked: unknown[];
/** What the worker throws for a row, as long as it does. */
let failing: Map<unknown, Error>;

beforeEach(() => {
  clock = new ManualClock();
  gates = new Map();
  failing = new Map();
  worked = [];
  store = new FakeStore(['a', 'b', 'c', 'd', 'e']);
  jobs = start({ uploadPageSize: 2, process: { clock, maxConcurrency: 1 } });
});
afterEach(async () => {
  for (const { resolve } of gates.values()) resolve();
  for (const { resolve } of store.held.values()) resolve();
  const closing = jobs.shutdown();
  await clock.turn(60_000);
  await closing;
});

function start(setup: JobProcessSetup): JobProcess {
  const made = new JobProcess({
    ...setup,
    uploadStore: store,
    process: { retry: { limit: 0 }, ...setup.process },
  });
  made.register('rows', {
    processItem: async (row: unknown) => {
      worked.push(row);
      await gates.get(row)?.promise;
      const error = failing.get(row);
      if (error !== undefined) throw error;
    },
  });
  return made;
}

describe('a run', () => {
  test('reads one page ahead, and writes the outcomes of a page before it works on the next', async () => {
    gates.set('b', deferred());
    store.held.set('recordOutcomes', deferred());
    const run = await jobs.processUserUpload('known');
    await settle();
    expect(store.calls).toEqual(['find', 'start', 'readPage 0', 'readPage 2']);
    gates.get('b')!.resolve();
    await settle();
    expect(store.calls.slice(4)).toEqual(['recordOutcomes']);
    expect(worked).toEqual(['a', 'b']);
    store.held.get('recordOutcomes')!.resolve();
    expect(await run.completed).toMatchObject({ status: 'completed', rows: 5, done: 5 });
    expect(store.calls.slice(5)).toEqual([
      'readPage 4',
      'recordOutcomes',
      'readPage 5',
      'recordOutcomes',
      'finish',
    ]);
  });

  test.each(['start', 'readPage 0', 'readPage 2', 'recordOutcomes', 'finish'])(
    'fails when %s does, and the next run goes on with the rows that have no outcome',
    async (call) => {
      store.broken.add(call);
      const first = await (await jobs.processUserUpload('known')).completed;
      expect(first).toMatchObject({ status: 'failed', error: { message: `${call} is broken` } });
      store.broken.clear();
      worked = [];
      const recorded = store.outcomes.size;
      const second = await (await jobs.processUserUpload('known')).completed;
      expect(second).toMatchObject({ status: 'completed', done: 5 - recorded });
      expect(worked).toHaveLength(5 - recorded);
      expect(store.outcomes.size).toBe(5);
    },
  );

  test('writes the outcomes of a page although the one after it could not be read meanwhile', async () => {
    gates.set('a', deferred());
    store.broken.add('readPage 2');
    const run = await jobs.processUserUpload('known');
    await settle();
    gates.get('a')!.resolve();
    expect(await run.completed).toMatchObject({ status: 'failed', done: 2 });
    expect([...store.outcomes.keys()]).toEqual([1, 2]);
  });

  test('that is cancelled while its page waits for room in the queue takes no more in', async () => {
    await jobs.shutdown();
    jobs = start({ uploadPageSize: 5, process: { maxQueueSize: 3, maxConcurrency: 1 } });
    gates.set('a', deferred());
    const run = await jobs.processUserUpload('known');
    await settle();
    run.cancel();
    expect(jobs.counts('rows')).toMatchObject({ waiting: 0, running: 1 });
    gates.get('a')!.resolve();
    expect(await run.completed).toMatchObject({ status: 'cancelled', rows: 1, done: 1 });
    expect(worked).toEqual(['a']);
    expect(store.states()).toEqual({ 1: 'done' });
  });

  test('that is cancelled ends at once although the store gives no page', async () => {
    store.held.set('readPage 0', deferred());
    const run = await jobs.processUserUpload('known');
    await settle();
    run.cancel();
    expect(await run.completed).toMatchObject({ status: 'cancelled', rows: 0 });
  });

  test('that is cancelled when every row of the last page has ended is completed', async () => {
    gates.set('e', deferred());
    const run = await jobs.processUserUpload('known');
    await settle();
    run.cancel();
    gates.get('e')!.resolve();
    expect(await run.completed).toMatchObject({ status: 'completed', done: 5 });
    expect(store.status).toBe('completed');
  });

  test('that leaves rows without an outcome is interrupted, as the store then has it', async () => {
    const run = await jobs.processUserUpload('known');
    // As by somebody who adds rows meanwhile.
    store.finish = () => Promise.resolve({ ...store.upload(), status: 'processing' });
    expect(await run.completed).toMatchObject({ status: 'interrupted', rows: 5 });
  });

  test('tells of the whole upload while it goes on, and of itself at its end', async () => {
    failing.set('b', new Error('bad'));
    store.broken.add('readPage 2');
    await (
      await jobs.processUserUpload('known')
    ).completed;
    store.broken.clear();
    const told = { uploadId: 'known', total: 5, done: 1, failed: 1 };
    gates.set('c', deferred());
    const second = await jobs.processUserUpload('known');
    expect(JSON.parse(JSON.stringify(second))).toEqual(told);
    gates.get('c')!.resolve();
    expect(await second.completed).toMatchObject({
      status: 'completed-with-failures',
      rows: 3,
      done: 3,
      failed: 0,
    });
    expect(second.progress()).toEqual({ total: 5, done: 4, failed: 1 });
    const third = await jobs.processUserUpload('known');
    expect(await third.completed).toMatchObject({ status: 'completed-with-failures', rows: 0 });
    expect(third.progress()).toEqual({ total: 5, done: 4, failed: 1 });
    expect(inspect(third, { breakLength: Infinity })).toBe(
      "UploadRun { uploadId: 'known', total: 5, done: 4, failed: 1 }",
    );
  });

  test('is refused for an unknown worker type, and the upload is left as it was', async () => {
    store.type = 'row';
    await expect(jobs.processUserUpload('known')).rejects.toMatchObject({ code: 'UNKNOWN_WORKER_TYPE' });
    expect(store.calls).toEqual(['find']);
    expect(store.status).toBe('received');
  });

  test('is one, even while the upload is still being looked up', async () => {
    store.held.set('find', deferred());
    const starting = [jobs.processUserUpload('known'), jobs.processUserUpload('known')];
    store.held.get('find')!.resolve();
    const [first, second] = await Promise.all(starting);
    expect(second).toBe(first);
    await first!.completed;
    expect(worked).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test('that could not be started can be asked for again', async () => {
    store.broken.add('find');
    await expect(jobs.processUserUpload('known')).rejects.toThrow('find is broken');
    await expect(jobs.processUserUpload('other')).rejects.toThrow('find is broken');
    store.broken.clear();
    await expect(jobs.processUserUpload('other')).rejects.toMatchObject({ code: 'UNKNOWN_UPLOAD' });
    expect(await (await jobs.processUserUpload('known')).completed).toMatchObject({ status: 'completed' });
  });
});

describe('the outcome of a row whose dead letter has an error', () => {
  class Odd extends Error {
    constructor(descriptor: PropertyDescriptor) {
      super();
      Object.defineProperty(this, 'message', descriptor);
    }
  }

  test.each<[string, PropertyDescriptor, string]>([
    ['without a message', { value: undefined }, 'undefined'],
    ['with null for a message', { value: null }, 'null'],
    ['with an object for a message', { value: { code: 1 } }, 'an object'],
    ['with an empty message', { value: '' }, ''],
    [
      'with a message that throws',
      {
        get: () => {
          throw new Error('broken');
        },
      },
      "a Odd whose message can't be read",
    ],
  ])('%s is failed, and costs the others nothing', async (_, descriptor, error) => {
    failing.set('b', new Odd(descriptor));
    const run = await jobs.processUserUpload('known');
    expect(await run.completed).toMatchObject({ status: 'completed-with-failures', done: 4, failed: 1 });
    expect(store.outcomes.get(2)).toEqual({ number: 2, attempts: 1, state: 'failed', error });
    expect(store.states()).toEqual({ 1: 'done', 2: 'failed', 3: 'done', 4: 'done', 5: 'done' });
  });
});

function redrive(): Promise<number> {
  return jobs.redriveDeadLetters({ type: 'rows' });
}

/** The calls that wrote something, in order. */
function writes(): string[] {
  return store.calls.filter((call) => call === 'recordOutcomes' || call === 'finish');
}

describe('a dead letter that is redriven', () => {
  beforeEach(() => void failing.set('a', new Error('bad')));

  test('while its page is worked on counts once, as it ended at last', async () => {
    gates.set('b', deferred());
    const run = await jobs.processUserUpload('known');
    await settle();
    failing.clear();
    expect(await redrive()).toBe(1);
    gates.get('b')!.resolve();
    expect(await run.completed).toMatchObject({ status: 'completed', rows: 5, done: 5, failed: 0 });
    expect(store.outcomes.get(1)).toEqual({ number: 1, attempts: 1, state: 'done' });
    expect(writes()).toEqual(['recordOutcomes', 'recordOutcomes', 'recordOutcomes', 'finish']);
  });

  test('while its page is being recorded is written after that', async () => {
    const recording = deferred();
    store.held.set('recordOutcomes', recording);
    const run = await jobs.processUserUpload('known');
    await settle();
    failing.clear();
    await redrive();
    await settle();
    expect(worked).toEqual(['a', 'b', 'a']);
    expect(store.outcomes.size).toBe(0);
    store.held.clear();
    recording.resolve();
    expect(await run.completed).toMatchObject({ status: 'completed' });
    expect(store.states()).toMatchObject({ 1: 'done' });
  });

  test('while its upload is worked on, and after that, is written at once, with the status', async () => {
    failing.set('e', new Error('bad'));
    gates.set('c', deferred());
    const run = await jobs.processUserUpload('known');
    await settle();
    expect(store.states()).toMatchObject({ 1: 'failed', 2: 'done' });
    failing.delete('a');
    await redrive();
    gates.get('c')!.resolve();
    expect(await run.completed).toMatchObject({ status: 'completed-with-failures', done: 4, failed: 1 });
    expect(store.status).toBe('completed-with-failures');
    expect(store.states()).toEqual({ 1: 'done', 2: 'done', 3: 'done', 4: 'done', 5: 'failed' });

    await redrive();
    await settle();
    expect(store.status).toBe('completed-with-failures');
    expect(store.outcomes.get(5)).toMatchObject({ state: 'failed' });

    failing.clear();
    await redrive();
    await settle();
    expect(store.states()).toMatchObject({ 5: 'done' });
    expect(store.status).toBe('completed');
    expect(run.progress()).toEqual({ total: 5, done: 5, failed: 0 });
  });

  test('is written before the run tells how it ended', async () => {
    gates.set('c', deferred());
    const run = await jobs.processUserUpload('known');
    await settle();
    const writing = deferred();
    const record = store.recordOutcomes.bind(store);
    jest.spyOn(store, 'recordOutcomes').mockImplementation(async (id, outcomes) => {
      if (outcomes.some(({ number }) => number === 1)) await writing.promise;
      return record(id, outcomes);
    });
    failing.clear();
    await redrive();
    gates.get('c')!.resolve();
    await settle();
    expect(store.states()).toEqual({ 1: 'failed', 2: 'done', 3: 'done', 4: 'done', 5: 'done' });
    writing.resolve();
    expect(await run.completed).toMatchObject({ status: 'completed', done: 5, failed: 0 });
  });

  test('with many others is written with them', async () => {
    for (const row of ['b', 'c', 'd', 'e']) failing.set(row, new Error('bad'));
    await (
      await jobs.processUserUpload('known')
    ).completed;
    store.calls.length = 0;
    failing.clear();
    const writing = deferred();
    store.held.set('recordOutcomes', writing);
    await redrive();
    await settle();
    store.held.clear();
    writing.resolve();
    await settle();
    expect(writes()).toEqual(['recordOutcomes', 'finish', 'recordOutcomes', 'finish']);
    expect(store.upload()).toMatchObject({ status: 'completed', done: 5, failed: 0 });
  });

  test.each([
    ['recordOutcomes', [1]],
    ['finish', []],
  ])('is told of when %s fails, and the next is written', async (call, rows) => {
    failing.set('b', new Error('bad'));
    await (
      await jobs.processUserUpload('known')
    ).completed;
    const failures: unknown[] = [];
    jobs.on('outcomesNotWritten', (failure) => failures.push(failure));
    store.broken.add(call);
    failing.clear();
    const [first, second] = await jobs.deadLetters();
    await jobs.redriveDeadLetters({ ids: [first!.id] });
    await settle();
    expect(failures).toEqual([
      { uploadId: 'known', rows, error: expect.objectContaining({ message: `${call} is broken` }) },
    ]);
    store.broken.clear();
    await jobs.redriveDeadLetters({ ids: [second!.id] });
    await settle();
    expect(store.states()).toMatchObject({ 2: 'done' });
  });

  test('before a shutdown is written before it has ended', async () => {
    await (
      await jobs.processUserUpload('known')
    ).completed;
    failing.clear();
    gates.set('a', deferred());
    const writing = deferred();
    store.held.set('recordOutcomes', writing);
    await redrive();
    await settle();
    let closed = false;
    const closing = jobs.shutdown().then(() => (closed = true));
    gates.get('a')!.resolve();
    await clock.turn(4_999);
    expect(closed).toBe(false);
    writing.resolve();
    await closing;
    expect(store.status).toBe('completed');
  });

  test('keeps nothing of its page alive but itself', async () => {
    const { payloads, kept } = trackedPayloads(100);
    store = new FakeStore(payloads);
    await jobs.shutdown();
    jobs = start({ uploadPageSize: 10, process: { clock, maxConcurrency: 1 } });
    payloads.forEach((payload, index) => {
      if (index % 10 === 0) failing.set(payload, new Error('bad'));
    });
    await (
      await jobs.processUserUpload('known')
    ).completed;
    expect(await jobs.deadLetters()).toHaveLength(10);
    store = new FakeStore([]);
    payloads.length = 0;
    worked.length = 0;
    failing.clear();
    await settle();
    collectGarbage();
    expect(kept()).toBe(10);
  });
});

/** Objects, and how many of them are alive. */
function trackedPayloads(count: number) {
  const payloads = Array.from({ length: count }, (_, index) => ({ index }));
  const references = payloads.map((payload) => new WeakRef(payload));
  return { payloads, kept: () => references.filter((reference) => reference.deref() !== undefined).length };
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

describe('a shutdown', () => {
  test('lets the page that is worked on end, writes its outcomes, and reads no further', async () => {
    gates.set('b', deferred());
    const run = await jobs.processUserUpload('known');
    await settle();
    const closing = jobs.shutdown();
    gates.get('b')!.resolve();
    await closing;
    expect(await run.completed).toMatchObject({ status: 'interrupted', done: 2 });
    expect([...store.outcomes.keys()]).toEqual([1, 2]);
    expect(worked).toEqual(['a', 'b']);
    expect(store.status).toBe('processing');
  });

  test('starts nothing that was still being looked up', async () => {
    store.held.set('find', deferred());
    const starting = jobs.processUserUpload('known');
    const outcome = starting.catch((error: unknown) => error);
    await settle();
    const closing = jobs.shutdown();
    store.held.get('find')!.resolve();
    await closing;
    expect(await outcome).toMatchObject({ code: 'PROCESS_CLOSED' });
    expect(store.calls).toEqual(['find']);
    expect(store.status).toBe('received');
  });

  test('leaves the rows that were handed back to the next run', async () => {
    await jobs.shutdown();
    const onUnfinished = jest.fn<() => void>();
    const process = { clock, maxConcurrency: 1, shutdownTimeoutMs: 0, abortGraceMs: 0, onUnfinished };
    jobs = start({ uploadPageSize: 2, process });
    gates.set('b', deferred());
    const run = await jobs.processUserUpload('known');
    await settle();
    await jobs.shutdown();
    expect(await run.completed).toMatchObject({ status: 'interrupted', rows: 1, done: 1 });
    expect(store.states()).toEqual({ 1: 'done' });
    expect(onUnfinished).not.toHaveBeenCalled();
  });

  test('writes the outcomes of rows that found room in the queue, though the others of their page did not', async () => {
    await jobs.shutdown();
    jobs = start({ uploadPageSize: 5, process: { clock, maxConcurrency: 1, maxQueueSize: 2 } });
    gates.set('a', deferred());
    const run = await jobs.processUserUpload('known');
    await settle();
    const closing = jobs.shutdown();
    await settle();
    gates.get('a')!.resolve();
    await closing;
    expect(await run.completed).toMatchObject({ status: 'interrupted' });
    expect(worked).toEqual(['a', 'b', 'c']);
    expect(store.states()).toEqual({ 1: 'done', 2: 'done', 3: 'done' });
  });

  test('completes an upload whose last page it finds in work', async () => {
    gates.set('e', deferred());
    const run = await jobs.processUserUpload('known');
    await settle();
    const closing = jobs.shutdown();
    gates.get('e')!.resolve();
    await closing;
    expect(await run.completed).toMatchObject({ status: 'completed', done: 5 });
    expect(store.status).toBe('completed');
  });

  test('waits for a store that does not answer no longer than for anything else', async () => {
    gates.set('b', deferred());
    store.held.set('recordOutcomes', deferred());
    await jobs.processUserUpload('known');
    await settle();
    let closed = false;
    const closing = jobs.shutdown().then(() => (closed = true));
    gates.get('b')!.resolve();
    await clock.turn(19_999);
    expect(closed).toBe(false);
    await clock.turn(1);
    expect(closed).toBe(true);
    await closing;
  });
});
