import { describe, expect, it, jest } from '@jest/globals';
import { ProcessClosedError } from '../../../src/core/errors.js';
import type { WorkerProcessOptionsInput } from '../../../src/core/options.js';
import type { SubmitOptions } from '../../../src/core/submit-options.js';
import { deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { ManualProcess } from '../../support/manual-process.js';

function start(options: WorkerProcessOptionsInput = {}): ManualProcess {
  return new ManualProcess({ timeoutMs: 0, maxConcurrency: 1, ...(options as object) });
}

describe('a submission with a signal', () => {
  it('stops taking items in when it aborts, and resolves with the cancelled job', async () => {
    const process = start({ maxQueueSize: 10 });
    process.register('type', { processItem: () => undefined });
    void process.pause('type');
    const abort = new AbortController();
    const before = process.distributeWork(
      'type',
      Array.from({ length: 10 }, () => 'before'),
    );
    const submission = process.distributeWork('type', Array.from({ length: 100 }), { signal: abort.signal });
    const behind = process.distributeWork('type', ['behind']);
    await settle();
    expect(process.counts()).toMatchObject({ submitted: 10 });
    abort.abort();
    const job = await submission;
    expect(await job.completed).toMatchObject({ status: 'cancelled', accepted: 0, total: 0 });
    void process.resume('type');
    await Promise.all([before, behind]);
    await process.waitForCompletion();
    expect(process.counts()).toMatchObject({ submitted: 11, completed: 11, cancelled: 0 });
    await process.end();
  });

  it('cancels its job later too, and forgets the signal with the job', async () => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    void process.pause('type');
    const abort = new AbortController();
    const { signal } = abort;
    const sources: unknown[] = [{ item: 1 }, [1, 2], [1, 2].values()];
    const jobs = await Promise.all(
      sources.map((source) => process.distributeWork('type', source, { signal })),
    );
    abort.abort();
    for (const job of jobs) expect(await job.completed).toMatchObject({ status: 'cancelled' });
    void process.resume('type');
    const other = new AbortController();
    const remove = jest.spyOn(other.signal, 'removeEventListener');
    const job = await process.distributeWork('type', 1, { signal: other.signal });
    await job.completed;
    await settle();
    expect(remove).toHaveBeenCalledTimes(1);
    expect(process.counts()).toMatchObject({ completed: 1, cancelled: 5, waiting: 0 });
    await process.end();
  });

  it('that has aborted before takes no item in, and closes the source', async () => {
    const process = start();
    const handled: unknown[] = [];
    process.register('type', { processItem: (payload: unknown) => void handled.push(payload) });
    const closed = jest.fn();
    const next = jest.fn(() => ({ done: false as const, value: 1 }));
    const iterable = { [Symbol.iterator]: () => ({ next, return: closed as never }) };
    const signal = AbortSignal.abort();
    for (const source of [1, [1, 2], iterable] as unknown[]) {
      const job = await process.distributeWork('type', source, { signal });
      expect(await job.completed).toMatchObject({ status: 'cancelled', total: 0 });
    }
    await settle();
    expect(next).not.toHaveBeenCalled();
    expect(closed).toHaveBeenCalledTimes(1);
    expect(process.counts().submitted).toBe(0);
    await process.end();
  });

  it('may be one for many submissions, of which each listens no more than the others', async () => {
    const process = start();
    const warnings: Error[] = [];
    const warned = (warning: Error) => void warnings.push(warning);
    globalThis.process.on('warning', warned);
    process.register('type', { processItem: () => undefined });
    void process.pause('type');
    const abort = new AbortController();
    const { signal } = abort;
    const add = jest.spyOn(signal, 'addEventListener');
    const remove = jest.spyOn(signal, 'removeEventListener');
    const jobs = await Promise.all(
      Array.from({ length: 20 }, () => process.distributeWork('type', [1], { signal })),
    );
    void jobs[0]!.cancel();
    await settle();
    expect(remove).not.toHaveBeenCalled();
    abort.abort();
    for (const job of jobs) expect(await job.completed).toMatchObject({ status: 'cancelled' });
    await settle();
    expect(add).toHaveBeenCalledTimes(1);
    expect(remove).toHaveBeenCalledTimes(1);
    expect(warnings).toEqual([]);
    globalThis.process.off('warning', warned);
    await process.end();
  });
});

describe('distributeWork', () => {
  it.each<[string, unknown, string]>([
    ['is misspelt', { singal: 1 }, 'singal: unknown option; expected one of track, observer, signal, '],
    ['is of another kind', { fromHandler: 'yes' }, 'fromHandler: expected true or false, got "yes"'],
    ['is no signal', { signal: new AbortController() }, 'signal: expected an AbortSignal, got '],
    ['is half an observer', { observer: {} }, 'observer: expected a JobObserver (it lacks itemEnded), got '],
  ])('refuses an option that %s, and takes nothing in', async (_, options, text) => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    await expect(process.distributeWork('type', [1], options as SubmitOptions)).rejects.toThrow(
      `distributeWork(): ${text}`,
    );
    expect(process.counts().submitted).toBe(0);
    await process.distributeWork('type', [1], { track: undefined });
    await process.end();
  });

  it.each([null, 5, [1]])('refuses %p for options', async (options) => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    await expect(process.distributeWork('type', 1, options as unknown as SubmitOptions)).rejects.toThrow(
      'distributeWork(): options: expected an object, got',
    );
    await process.end();
  });
});

describe('once the pool was shut down by itself', () => {
  it('takes no more work, turns away who waits for room, and reads no source on', async () => {
    const process = start({ maxQueueSize: 1 });
    process.register('type', { processItem: () => undefined });
    void process.pause('type');
    expect(process.offer('type', 'first')).toBe(true);
    const waiting = process.distributeWork('type', [1, 2]);
    const closed = deferred();
    const stream = await process.distributeWork(
      'type',
      (function* () {
        try {
          for (;;) yield 1;
        } finally {
          closed.resolve();
        }
      })(),
    );
    await process.pool.shutdown();
    await expect(waiting).rejects.toThrow(ProcessClosedError);
    await closed.promise;
    expect(process.isClosed).toBe(true);
    expect(process.offer('type', 1)).toBe(false);
    await expect(process.distributeWork('type', 1)).rejects.toThrow(ProcessClosedError);
    expect(() => process.register('other', { processItem: () => undefined })).toThrow(ProcessClosedError);
    await expect(process.start()).rejects.toThrow(ProcessClosedError);
    expect(process.counts('type')).toMatchObject({ waiting: 2 });
    await process.end();
    expect(await stream.completed).toMatchObject({ status: 'interrupted' });
  });
});

describe('a listener', () => {
  it.each<[string, unknown, unknown, string]>([
    ['of no event', 'nope', () => undefined, 'on(): event: expected one of scaled, retry, deadLetter, '],
    ['that is none', 'retry', undefined, 'on(): listener: expected a function, got undefined'],
  ])('%s is refused', async (_, name, listener, text) => {
    const process = start();
    expect(() => process.on(name as 'retry', listener as () => void)).toThrow(text);
    await process.end();
  });
});

describe('a query of dead letters', () => {
  it.each<[object, string]>([
    [{ limit: -1 }, 'limit: expected a whole number of 0 or more, got -1'],
    [{ limit: 1.5 }, 'limit: expected a whole number of 0 or more, got 1.5'],
    [{ after: NaN }, 'after: expected a whole number of 0 or more, got NaN'],
    [{ typ: 'type' }, 'typ: unknown option; expected one of type, limit, after'],
  ])('%p is refused', async (query, text) => {
    const process = start();
    await expect(process.deadLetters(query)).rejects.toThrow(`Query of dead letters: ${text}`);
    await process.end();
  });

  it('has no limit by Infinity, and gives nothing by 0', async () => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    for (let index = 0; index < 150; index++) await process.rejectItem('type', index, new Error('bad'));
    expect(await process.deadLetters()).toHaveLength(100);
    expect(await process.deadLetters({ limit: Infinity })).toHaveLength(150);
    expect(await process.deadLetters({ limit: 0 })).toEqual([]);
    await process.end();
  });
});

describe('what else is no object of the kind', () => {
  it.each<[string, (process: ManualProcess) => unknown, string]>([
    [
      'a definition',
      (process) => process.register('other', 'x' as never),
      'Worker of type "other": expected an object with worker, processItem or processBatch, got "x"',
    ],
    [
      'a former report',
      (process) => process.reportPerformance(5 as never),
      'since: expected a former report, got 5',
    ],
    ['a report without types', (process) => process.reportPerformance({} as never), 'got an object'],
  ])('%s is refused', async (_, act, text) => {
    const process = start();
    expect(() => act(process)).toThrow(text);
    await process.end();
  });

  it('options of pool.shutdown are refused, and the pool goes on', async () => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    await expect(process.pool.shutdown({ forced: true } as object)).rejects.toThrow(
      'pool.shutdown(): forced: unknown option; expected one of force',
    );
    await (
      await process.distributeWork('type', [1])
    ).completed;
    await process.end();
  });
});
