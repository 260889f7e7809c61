import { describe, expect, it } from '@jest/globals';
import type { SubmitOptions } from '../../../src/core/submit-options.js';
import { UniqueKeys } from '../../../src/core/unique-keys.js';
import { WorkerProcess } from '../../../src/core/worker-process.js';
import { deferred, type Deferred } from '../../support/deferred.js';
import { ManualClock, settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

interface Mail {
  readonly to: string;
  readonly text?: string;
}

const start = processesWith({ timeoutMs: 0, maxConcurrency: 1, shutdownTimeoutMs: 0 });
const byReceiver: SubmitOptions = { uniqueKey: ({ to }: Mail) => to };

function startWith(options: Parameters<typeof start>[0] = {}) {
  const process = start(options);
  const sent: string[] = [];
  const held: { gate: Deferred | undefined } = { gate: undefined };
  process.register('mail', {
    processItem: async ({ to, text }: Mail) => {
      sent.push(to);
      await held.gate?.promise;
      if (text === 'fails') throw new Error('fails');
    },
  });
  return { process, sent, held };
}

const to = (...names: string[]): Mail[] => names.map((name) => ({ to: name }));

describe('a unique key', () => {
  it('takes in the first item only, until that has ended', async () => {
    const { process, sent, held } = startWith();
    held.gate = deferred();
    const first = await process.distributeWork('mail', { to: 'a' }, { uniqueKey: 'a' });
    await settle();
    const second = await process.distributeWork('mail', { to: 'a' }, { uniqueKey: 'a', track: true });
    expect(await second.completed).toMatchObject({ status: 'completed', total: 0, duplicates: 1 });
    held.gate.resolve();
    expect(await first.completed).toMatchObject({ done: 1, duplicates: 0 });
    const third = await process.distributeWork('mail', { to: 'a' }, { uniqueKey: 'a' });
    expect(await third.completed).toMatchObject({ done: 1, duplicates: 0 });
    expect(sent).toEqual(['a', 'a']);
    expect(process.counts('mail')).toMatchObject({ submitted: 2, completed: 2 });
  });

  it('is made of each payload of an array, within it and against others', async () => {
    const { process, sent } = startWith();
    void process.pause('mail');
    await process.distributeWork('mail', to('a', 'b', 'a'), byReceiver);
    const job = await process.distributeWork('mail', to('b', 'c', 'a', 'd'), byReceiver);
    void process.resume('mail');
    expect(await job.completed).toMatchObject({ done: 2, total: 2, duplicates: 2 });
    expect(sent).toEqual(['a', 'b', 'c', 'd']);
  });

  it('is made of each payload of a stream as it is read, which starves nobody with duplicates alone', async () => {
    const process = new WorkerProcess();
    process.register('mail', { processItem: () => undefined });
    void process.pause('mail');
    await process.distributeWork('mail', { to: 'a' }, { uniqueKey: 'a' });
    let pulled = 0;
    const endless = (function* () {
      for (;;) {
        pulled++;
        yield { to: 'a' };
      }
    })();
    const job = await process.distributeWork('mail', endless, byReceiver);
    await new Promise((resolve) => setImmediate(resolve));
    void job.cancel();
    const { status, total, duplicates } = await job.completed;
    expect([status, total]).toEqual(['cancelled', 0]);
    expect(duplicates).toBeGreaterThan(0);
    expect(duplicates).toBeGreaterThanOrEqual(pulled - 1);
    void process.resume('mail');
    await process.shutdown();
  });

  it.each<[string, (setting: ReturnType<typeof startWith>) => Promise<void>]>([
    [
      'has died',
      async ({ process }) => {
        await process.distributeWork('mail', [{ to: 'a', text: 'fails' }], byReceiver);
        await process.waitForCompletion();
      },
    ],
    [
      'was cancelled while it waited',
      async ({ process }) => {
        void process.pause('mail');
        const job = await process.distributeWork('mail', to('a'), byReceiver);
        void job.cancel();
        void process.resume('mail');
      },
    ],
    [
      'was cancelled before there was room for it',
      async ({ process }) => {
        void process.pause('mail');
        for (let count = 0; count < 2; count++) process.offer('mail', { to: 'other' });
        const controller = new AbortController();
        const waiting = process.distributeWork('mail', to('a'), { ...byReceiver, signal: controller.signal });
        controller.abort();
        await waiting;
        void process.resume('mail');
      },
    ],
  ])('is free again when its item %s', async (_, end) => {
    const setting = startWith({ retry: { limit: 0 }, maxQueueSize: 2 });
    const { process } = setting;
    await end(setting);
    const job = await process.distributeWork('mail', to('a'), byReceiver);
    expect(await job.completed).toMatchObject({ done: 1, duplicates: 0 });
  });

  it('is held while its item awaits a retry or its time', async () => {
    const { process } = startWith({ retry: { limit: 1, backoffMs: 100, jitter: 0 } });
    await process.distributeWork('mail', [{ to: 'a', text: 'fails' }], byReceiver);
    await process.distributeWork('mail', to('b'), { ...byReceiver, delayMs: 100 });
    await settle();
    const job = await process.distributeWork('mail', to('a', 'b'), byReceiver);
    expect(job.progress()).toMatchObject({ accepted: 0, duplicates: 2 });
  });

  it('is held for uniqueForMs, whatever becomes of its item, and no longer', async () => {
    const { process, sent } = startWith();
    const once: SubmitOptions = { ...byReceiver, uniqueForMs: 1_000 };
    await process.distributeWork('mail', to('a'), once);
    await process.waitForCompletion();
    await process.clock.turn(999);
    await process.distributeWork('mail', to('a'), once);
    expect(sent).toEqual(['a']);
    await process.clock.turn(1);
    await process.distributeWork('mail', to('a'), once);
    await process.waitForCompletion();
    expect(sent).toEqual(['a', 'a']);
  });

  it('of one worker type is another than that of the next', async () => {
    const { process } = startWith();
    process.register('letter', { processItem: () => undefined });
    void process.pause('mail');
    await process.distributeWork('mail', to('a'), byReceiver);
    const job = await process.distributeWork('letter', to('a'), byReceiver);
    expect(await job.completed).toMatchObject({ done: 1 });
    void process.resume('mail');
  });

  it.each<[unknown, SubmitOptions, string]>([
    [to('a', 'b'), { uniqueKey: 'a' }, 'expected a function of the payload for several items, got "a"'],
    [new Set(to('a')), { uniqueKey: 'a' }, 'expected a function of the payload for several items, got "a"'],
    [to('a', ''), byReceiver, 'expected a text that is not empty for the item at 1, got ""'],
    [to('a'), { uniqueKey: () => 5 as never }, 'expected a text that is not empty for the item at 0, got 5'],
    [to('a'), { uniqueKey: '' }, 'expected a text that is not empty, or a function, got ""'],
  ])('is refused for %j as %p, and nothing is taken nor held', async (source, options, text) => {
    const { process } = startWith();
    await expect(process.distributeWork('mail', source, options)).rejects.toThrow(
      `distributeWork(): uniqueKey: ${text}`,
    );
    expect(process.counts('mail')).toMatchObject({ submitted: 0 });
    const job = await process.distributeWork('mail', to('a'), byReceiver);
    expect(job.progress()).toMatchObject({ accepted: 1, duplicates: 0 });
  });

  it('that can not be made ends a stream, which is told', async () => {
    const { process } = startWith();
    let isClosed = false;
    const source = (function* () {
      try {
        yield { to: 'a' };
        yield { to: '' };
      } finally {
        isClosed = true;
      }
    })();
    const job = await process.distributeWork('mail', source, byReceiver);
    expect(await job.completed).toMatchObject({
      status: 'source-failed',
      done: 1,
      error: expect.objectContaining({ message: expect.stringContaining('for the item at 1, got ""') }),
    });
    expect(isClosed).toBe(true);
  });

  it('needs its time to be more than none, and to be one of a key', async () => {
    const { process } = startWith();
    await expect(process.distributeWork('mail', to('a'), { uniqueForMs: 5 })).rejects.toThrow(
      'uniqueForMs: expected a uniqueKey beside it',
    );
    await expect(process.distributeWork('mail', to('a'), { ...byReceiver, uniqueForMs: 0 })).rejects.toThrow(
      'uniqueForMs: expected a number of 1 or more, got 0',
    );
  });
});

describe('UniqueKeys', () => {
  it('forget those whose time is over, so that they do not gather', async () => {
    const clock = new ManualClock();
    const keys = new UniqueKeys(clock);
    for (let round = 0; round < 100; round++) {
      for (let number = 0; number < 1_000; number++) keys.hold(`${round}:${number}`, 10);
      await clock.turn(10);
    }
    expect(keys.size).toBeLessThan(5_000);
  });

  it('can not be released while their time lasts', () => {
    const keys = new UniqueKeys(new ManualClock());
    expect(keys.hold('a', 10)).toBe(true);
    keys.release('a');
    expect(keys.hold('a', 10)).toBe(false);
  });
});
