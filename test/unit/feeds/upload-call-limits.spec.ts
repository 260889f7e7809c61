import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import {
  JobProcess,
  UploadCallTimeLimitError,
  type JobProcessSetup,
  type UploadRun,
} from '../../../src/index.js';
import { deferred } from '../../support/deferred.js';
import { ManualClock, settle } from '../../support/manual-clock.js';
import { FakeStore } from './fake-upload-store.js';

let clock: ManualClock;
let store: FakeStore;
let jobs: JobProcess;
let unhandled: jest.Mock;

beforeEach(() => {
  unhandled = jest.fn();
  process.on('unhandledRejection', unhandled);
  clock = new ManualClock();
  store = new FakeStore(['a', 'b', 'c', 'd', 'e']);
  jobs = startProcess();
});
afterEach(async () => {
  const closing = jobs.shutdown();
  await clock.turn(60_000);
  await closing;
  process.off('unhandledRejection', unhandled);
  const { calls } = unhandled.mock;
  if (calls.length > 0) throw new Error('Expected no unhandled rejection', { cause: calls[0]![0] });
});

function startProcess(setup: JobProcessSetup = {}): JobProcess {
  const options = { clock, maxConcurrency: 1, idleTimeoutMs: 0, retry: { limit: 0 } };
  const made = new JobProcess({ uploadStore: store, uploadPageSize: 2, process: options, ...setup });
  made.register('rows', { processItem: () => undefined });
  return made;
}

/** Has the store never answer to a call. */
function silence(call: string): void {
  store.held.set(call, deferred());
}

function answer(call: string): void {
  store.held.get(call)!.resolve();
  store.held.delete(call);
}

describe('the time limit of a call of the store', () => {
  test.each(['start', 'readPage 0', 'readPage 2', 'recordOutcomes', 'finish'])(
    'ends the run as failed: %s',
    async (call) => {
      silence(call);
      const run = await jobs.processUserUpload('known');
      let isEnded = false;
      void run.completed.then(() => (isEnded = true));
      await clock.turn(59_999);
      expect(isEnded).toBe(false);
      expect(await jobs.processUserUpload('known')).toBe(run);
      await clock.turn(1);
      const { status, error } = await run.completed;
      const [method] = call.split(' ') as [string];
      expect(status).toBe('failed');
      expect(error).toBeInstanceOf(UploadCallTimeLimitError);
      expect(error).toMatchObject({
        code: 'UPLOAD_CALL_TIME_LIMIT',
        uploadId: 'known',
        call: method,
        limitMs: 60_000,
        message: `Upload "known": ${method} passed its time limit, callTimeoutMs (60000)`,
      });
      await settle();
      expect(clock.timers).toBe(0);

      answer(call);
      await settle();
      expect(await (await jobs.processUserUpload('known')).completed).toMatchObject({ status: 'completed' });
      expect(store.upload()).toMatchObject({ status: 'completed', done: 5 });
    },
  );

  test('refuses a run whose upload is not found in time, and lets it be asked for again', async () => {
    silence('find');
    const refused = jobs.processUserUpload('known').catch((error: unknown) => error);
    await clock.turn(60_000);
    expect(await refused).toMatchObject({ code: 'UPLOAD_CALL_TIME_LIMIT', call: 'find' });
    answer('find');
    expect(await (await jobs.processUserUpload('known')).completed).toMatchObject({ status: 'completed' });
  });

  test('loses the outcome of a redriven row to the store, and says so', async () => {
    let isBroken = true;
    jobs.register('other', {
      processItem: () => {
        if (isBroken) throw new Error('bad');
      },
    });
    store.type = 'other';
    await (
      await jobs.processUserUpload('known')
    ).completed;
    const failures: unknown[] = [];
    jobs.on('outcomesNotWritten', (failure) => failures.push(failure));
    silence('recordOutcomes');
    isBroken = false;
    await jobs.redriveDeadLetters({ ids: [(await jobs.deadLetters())[0]!.id] });
    await clock.turn(59_999);
    expect(failures).toEqual([]);
    await clock.turn(1);
    expect(failures).toEqual([
      {
        uploadId: 'known',
        rows: [1],
        error: expect.objectContaining({ code: 'UPLOAD_CALL_TIME_LIMIT' }),
      },
    ]);
  });

  test('has nothing to do with a page that a cancelled run no longer waits for', async () => {
    silence('readPage 0');
    const run = await jobs.processUserUpload('known');
    await settle();
    expect(clock.timers).toBe(1);
    run.cancel();
    expect(await run.completed).toMatchObject({ status: 'cancelled' });
    await settle();
    expect(clock.timers).toBe(0);
  });

  test('keeps no process alive that shuts down', async () => {
    const kept: boolean[] = [];
    const setTimer = clock.setTimer.bind(clock);
    clock.setTimer = (callback, delayMs) => ({
      ...setTimer(callback, delayMs),
      keepAlive: (keep) => void (delayMs === 60_000 && kept.push(keep)),
    });
    silence('start');
    await jobs.processUserUpload('known');
    await settle();
    expect(kept).toEqual([]);
    const closing = jobs.shutdown();
    expect(kept).toEqual([false]);
    await clock.turn(60_000);
    await closing;
  });

  test('is none when it is 0', async () => {
    const run = await runWithLimit(0);
    await clock.turn(86_400_000);
    expect(clock.timers).toBe(0);
    answer('start');
    expect(await run.completed).toMatchObject({ status: 'completed' });
  });

  test('can be another', async () => {
    const run = await runWithLimit(100);
    await clock.turn(100);
    expect(await run.completed).toMatchObject({ status: 'failed', error: { call: 'start', limitMs: 100 } });
  });
});

/** A run in a process with another limit, whose store does not answer to `start`. */
async function runWithLimit(uploadCallTimeoutMs: number): Promise<UploadRun> {
  await jobs.shutdown();
  jobs = startProcess({ uploadCallTimeoutMs });
  silence('start');
  return jobs.processUserUpload('known');
}
