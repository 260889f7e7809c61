import { describe, expect, it } from '@jest/globals';
import { QueueFullError } from '../../../src/core/errors.js';
import type { Job } from '../../../src/core/job.js';
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

/** Mails wait for the gates of their receivers; those with the text "fails once" fail at the first attempt of all. */
function startWithGates(options: Parameters<typeof start>[0] = {}) {
  const process = start(options);
  const byName = new Map<string, Deferred>();
  let failures = 0;
  process.register('mail', {
    processItem: async (mail: Mail) => {
      await byName.get(mail.to)?.promise;
      if (mail.text === 'fails' || (mail.text === 'fails once' && failures++ === 0)) throw new Error('fails');
    },
  });
  const hold = (name: string) => {
    const gate = deferred();
    byName.set(name, gate);
    return gate;
  };
  return { process, hold };
}

/** Unique keys that the items of a job hold. */
const keysHeld = (job: Job) => job.uniqueKeys?.size;
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

  it('is let go of once: an item of an array that ends later leaves it to who has it by then', async () => {
    const { process, hold } = startWithGates();
    const gate = hold('b');
    const first = await process.distributeWork('mail', to('a', 'b'), byReceiver);
    await settle();
    expect(keysHeld(first)).toBe(1);
    const second = await process.distributeWork('mail', to('a'), byReceiver);
    expect(second.progress()).toMatchObject({ accepted: 1, duplicates: 0 });
    void process.pause('mail');
    gate.resolve();
    expect(await first.completed).toMatchObject({ done: 2 });
    const third = await process.distributeWork('mail', to('a'), byReceiver);
    expect(third.progress()).toMatchObject({ accepted: 0, duplicates: 1 });
  });

  it('is free again when its item has died, while another item of its job runs', async () => {
    const { process, hold } = startWithGates({ retry: { limit: 0 } });
    hold('b');
    const first = await process.distributeWork('mail', [{ to: 'a', text: 'fails' }, { to: 'b' }], byReceiver);
    await settle();
    expect(keysHeld(first)).toBe(1);
    const second = await process.distributeWork('mail', to('a', 'b'), byReceiver);
    expect(second.progress()).toMatchObject({ accepted: 1, duplicates: 1 });
  });

  it('is no more that of a dead letter: redriven, it is without one, and lets go of none', async () => {
    const { process, hold } = startWithGates({ retry: { limit: 0 } });
    const first: Mail[] = [{ to: 'a', text: 'fails once' }];
    await process.distributeWork('mail', first, byReceiver);
    await process.waitForCompletion();
    const gate = hold('a');
    await process.redriveDeadLetters({ type: 'mail' });
    await settle();
    const second = await process.distributeWork('mail', to('a'), byReceiver);
    expect(second.progress()).toMatchObject({ accepted: 1, duplicates: 0 });
    void process.pause('mail');
    gate.resolve();
    await settle();
    expect(process.counts('mail')).toMatchObject({ completed: 1, waiting: 1 });
    const third = await process.distributeWork('mail', to('a'), byReceiver);
    expect(third.progress()).toMatchObject({ accepted: 0, duplicates: 1 });
  });

  it('with a time is not let go of by its item: it may be held by another by then', async () => {
    const { process, hold } = startWithGates();
    const gate = hold('a');
    await process.distributeWork('mail', { to: 'a' }, { uniqueKey: 'a', uniqueForMs: 10 });
    await process.clock.turn(20);
    const second = await process.distributeWork('mail', { to: 'a' }, { uniqueKey: 'a' });
    void process.pause('mail');
    gate.resolve();
    await settle();
    const third = await process.distributeWork('mail', { to: 'a' }, { uniqueKey: 'a' });
    expect([second.duplicates, third.duplicates]).toEqual([0, 1]);
  });

  it.each<[string, Parameters<typeof start>[0], Mail[]]>([
    ['wait', {}, to('a', 'b', 'c')],
    [
      'await retries or were never let in',
      { maxQueueSize: 2 },
      [{ to: 'b', text: 'fails' }, ...to('a', 'c', 'd')],
    ],
  ])('is free at a cancel for items that %s, and not for one that runs', async (_, options, mails) => {
    const { process, hold } = startWithGates(options);
    const gate = hold('a');
    const controller = new AbortController();
    const submitting = process.distributeWork('mail', mails, { ...byReceiver, signal: controller.signal });
    await settle();
    controller.abort();
    const job = await submitting;
    expect(job.progress()).toMatchObject({ done: 0, failed: 0 });
    expect(keysHeld(job)).toBe(1);
    const others = await process.distributeWork('mail', to('a', 'b'), { ...byReceiver, fromHandler: true });
    expect(others.progress()).toMatchObject({ accepted: 1, duplicates: 1 });
    gate.resolve();
    await process.waitForCompletion();
    const last = await process.distributeWork('mail', to('a', 'b', 'c'), {
      ...byReceiver,
      fromHandler: true,
    });
    expect(last.progress()).toMatchObject({ accepted: 3, duplicates: 0 });
  });

  it('is let go of as its item ends where a duplicate was left out before it', async () => {
    const { process, hold } = startWithGates();
    hold('c');
    await process.distributeWork('mail', to('a', 'a', 'b', 'c'), byReceiver);
    await settle();
    expect(process.counts('mail')).toMatchObject({ completed: 2, running: 1 });
    const job = await process.distributeWork('mail', to('a', 'b', 'c'), byReceiver);
    expect(job.progress()).toMatchObject({ accepted: 2, duplicates: 1 });
  });

  it('is held at a cancel by an item that runs, after a pause as well', async () => {
    const { process, hold } = startWithGates();
    void process.pause('mail');
    hold('a');
    const job = await process.distributeWork('mail', to('a', 'b'), byReceiver);
    void process.resume('mail');
    await settle();
    void job.cancel();
    const others = await process.distributeWork('mail', to('a', 'b'), byReceiver);
    expect(others.progress()).toMatchObject({ accepted: 1, duplicates: 1 });
  });

  it('is free at the end of its job where a shutdown has refused its item', async () => {
    const { process, hold } = startWithGates({
      maxQueueSize: 1,
      maxConcurrency: 2,
      scalingThreshold: 1,
      shutdownTimeoutMs: 10_000,
    });
    const [busy, gate] = [hold('busy'), hold('a')];
    await process.distributeWork('mail', to('busy'));
    const submitting = process.distributeWork('mail', to('a', 'b', 'c', 'd'), byReceiver);
    await settle();
    const closing = process.shutdown();
    await expect(submitting).rejects.toThrow('2 items accepted, 2 refused');
    gate.resolve();
    await settle();
    const job = await process.distributeWork('mail', to('c', 'd'), { ...byReceiver, fromHandler: true });
    expect(job.progress()).toMatchObject({ accepted: 2, duplicates: 0 });
    busy.resolve();
    await process.clock.turn(10_000);
    await closing;
    expect(process.counts('mail')).toMatchObject({ completed: 5 });
  });

  it('is free again when a cancelled item that ran has failed', async () => {
    const { process, hold } = startWithGates({ maxConcurrency: 2, scalingThreshold: 1 });
    hold('b');
    const gate = hold('a');
    const job = await process.distributeWork('mail', [{ to: 'a', text: 'fails' }, ...to('b')], byReceiver);
    await settle();
    void job.cancel();
    gate.resolve();
    await settle();
    expect(job.progress()).toMatchObject({ cancelled: 1 });
    expect(keysHeld(job)).toBe(1);
  });

  it('counts not against the bound of handlers where an item is a duplicate', async () => {
    const { process } = startWith({ maxQueueSize: 2 });
    void process.pause('mail');
    const fromHandler = { ...byReceiver, fromHandler: true };
    await process.distributeWork('mail', to('a', 'b', 'c'), fromHandler);
    const second = await process.distributeWork('mail', to('a', 'b', 'd', 'd'), fromHandler);
    expect(second.progress()).toMatchObject({ accepted: 1, duplicates: 3 });
    const third = await process.distributeWork('mail', to('a', 'b', 'c', 'd'), fromHandler);
    expect(third.progress()).toMatchObject({ accepted: 0, duplicates: 4 });
    await expect(process.distributeWork('mail', to('a', 'e'), fromHandler)).rejects.toThrow(QueueFullError);
    const last = await process.distributeWork('mail', { to: 'a' }, { uniqueKey: 'a', fromHandler: true });
    expect(last.progress()).toMatchObject({ accepted: 0, duplicates: 1 });
  });

  it('lets a handler submit duplicates alone where retries have passed the bound', async () => {
    const { process, hold } = startWithGates({ maxQueueSize: 1 });
    const gate = hold('a');
    const fromHandler = { ...byReceiver, fromHandler: true };
    await process.distributeWork('mail', [{ to: 'a', text: 'fails' }], fromHandler);
    await settle();
    void process.pause('mail');
    await process.distributeWork('mail', to('b', 'c'), fromHandler);
    gate.resolve();
    await settle();
    expect(process.counts('mail')).toMatchObject({ waiting: 2, delayed: 1 });
    const job = await process.distributeWork('mail', to('a', 'b', 'c'), fromHandler);
    expect(job.progress()).toMatchObject({ accepted: 0, duplicates: 3 });
  });

  it('leaves items out of the indices that an observer is told', async () => {
    const { process } = startWith();
    const indices: number[] = [];
    const observer = { itemEnded: (index: number) => void indices.push(index) };
    const job = await process.distributeWork('mail', to('a', 'a', 'b'), { ...byReceiver, observer });
    await job.completed;
    expect(indices).toEqual([0, 1]);
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
