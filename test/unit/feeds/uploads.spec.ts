import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  JobProcess,
  type JobProcessSetup,
  type RowOutcome,
  type Upload,
  type UploadRow,
  type UploadStatus,
  type UploadStore,
} from '../../../src/index.js';
import { deferred, type Deferred } from '../../support/deferred.js';
import { ManualClock, settle } from '../../support/manual-clock.js';

/** A store of one upload, whose calls can be held and made to fail. */
class FakeStore implements UploadStore {
  status: UploadStatus = 'received';
  readonly outcomes = new Map<number, RowOutcome>();
  readonly calls: string[] = [];
  readonly held = new Map<string, Deferred>();
  readonly broken = new Set<string>();

  constructor(private readonly payloads: readonly unknown[]) {}

  receive(): Promise<Upload> {
    return Promise.reject(new Error('not in these tests'));
  }
  async find(id: string): Promise<Upload | undefined> {
    await this.called('find');
    return id === 'known' ? this.upload() : undefined;
  }
  async readPage(_id: string, after: number, limit: number): Promise<readonly UploadRow[]> {
    await this.called(`readPage ${after}`);
    return this.payloads
      .map((payload, index) => ({ number: index + 1, payload }))
      .filter(({ number }) => number > after && !this.outcomes.has(number))
      .slice(0, limit);
  }
  async recordOutcomes(_id: string, outcomes: readonly RowOutcome[]): Promise<void> {
    await this.called('recordOutcomes');
    for (const outcome of outcomes) this.outcomes.set(outcome.number, outcome);
  }
  async start(): Promise<void> {
    await this.called('start');
    this.status = 'processing';
  }
  async finish(): Promise<Upload> {
    await this.called('finish');
    this.status = 'completed';
    return this.upload();
  }

  private upload(): Upload {
    return {
      id: 'known',
      name: 'x',
      type: 'rows',
      status: this.status,
      rows: this.payloads.length,
      done: 0,
      failed: 0,
    };
  }
  private async called(call: string): Promise<void> {
    this.calls.push(call);
    await this.held.get(call)?.promise;
    if (this.broken.has(call)) throw new Error(`${call} is broken`);
  }
}

let clock: ManualClock;
let store: FakeStore;
let jobs: JobProcess;
let gates: Map<unknown, Deferred>;
let worked: unknown[];

beforeEach(() => {
  clock = new ManualClock();
  gates = new Map();
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
  const made = new JobProcess({ ...setup, uploadStore: store });
  made.register('rows', {
    processItem: async (row: unknown) => {
      worked.push(row);
      await gates.get(row)?.promise;
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

  test('can be cancelled while its page still waits for room in the queue', async () => {
    await jobs.shutdown();
    jobs = start({ uploadPageSize: 5, process: { maxQueueSize: 4, maxConcurrency: 1 } });
    for (const row of ['a', 'b']) gates.set(row, deferred());
    const run = await jobs.processUserUpload('known');
    await settle();
    run.cancel();
    gates.get('a')!.resolve();
    await settle();
    gates.get('b')!.resolve();
    expect(await run.completed).toMatchObject({ status: 'cancelled', done: 2 });
    expect(worked).toEqual(['a', 'b']);
    expect([...store.outcomes.keys()]).toEqual([1, 2]);
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
