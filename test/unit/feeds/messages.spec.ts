import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { inspect } from 'node:util';
import {
  JobProcess,
  RetryLaterError,
  type JobProcessSetup,
  type Acknowledge,
  type Deliver,
  type MessageReceipt,
  type Unsubscribe,
} from '../../../src/index.js';
import { deferred, type Deferred } from '../../support/deferred.js';
import { ManualClock, settle } from '../../support/manual-clock.js';

let jobs: JobProcess;
let worked: unknown[];
let held: Deferred | undefined;
/** Hold the worker at single items. */
let gates: Map<unknown, Deferred>;
/** The ids of the jobs of what was worked on. */
let ids: string[];

beforeEach(() => {
  worked = [];
  ids = [];
  held = undefined;
  gates = new Map();
  jobs = start();
});
afterEach(async () => {
  held?.resolve();
  await jobs.shutdown();
});

function start(process: JobProcessSetup['process'] = {}): JobProcess {
  const made = new JobProcess({ process: { maxConcurrency: 1, shutdownTimeoutMs: 5_000, ...process } });
  made.register('mail', {
    processItem: async (item: unknown, { attempt, jobId }) => {
      worked.push(item);
      ids.push(jobId);
      await held?.promise;
      await gates.get(item)?.promise;
      if (item === 'later' && attempt === 1) throw new RetryLaterError(3_600_000);
    },
  });
  return made;
}

/** A broker that delivers what the test hands it. */
class Broker {
  deliver!: Deliver<string>;
  readonly unsubscribe = jest.fn<Unsubscribe>();
  readonly subscribe = (deliver: Deliver<string>) => {
    this.deliver = deliver;
    return this.unsubscribe;
  };
}

/** An array of which the second item can't be read. */
function unreadable(): string[] {
  return Object.defineProperty(['a', 'b'], 1, {
    get: () => {
      throw new Error('no item');
    },
  });
}

function checked(message: string): string | undefined {
  if (message === 'bad') throw new TypeError('no user');
  if (message === 'odd') throw 'odd';
  if (message === 'unreadable') return unreadable() as never;
  return message === 'nothing' ? undefined : message;
}

/** Delivers a message of five items, of which the first is done and the second runs, and cancels its job. */
async function cancelled(acknowledge: Acknowledge): Promise<MessageReceipt> {
  await jobs.shutdown();
  jobs = start({ maxQueueSize: 2 });
  gates.set('b', deferred());
  const broker = new Broker();
  await jobs.processQueueMessages<string, string>('mail', broker.subscribe, {
    acknowledge,
    toItems: (message) => message.split(','),
  });
  const receipt = broker.deliver('a,b,c,d,e');
  await settle();
  expect(worked).toEqual(['a', 'b']);
  await (await jobs.findJob(ids[0]!))!.cancel();
  gates.get('b')!.resolve();
  return receipt;
}

describe('a subscription', () => {
  test('makes each message an item, and tells what became of it', async () => {
    const broker = new Broker();
    await jobs.processQueueMessages('mail', broker.subscribe);
    expect(await broker.deliver('a')).toEqual({
      jobId: expect.any(String),
      items: 1,
      done: 1,
      failed: 0,
      cancelled: 0,
      rejected: undefined,
    });
    expect(worked).toEqual(['a']);
  });

  test.each<[string, (message: string) => unknown, unknown[]]>([
    ['a value', (message) => message.length, [3]],
    ['a promise', (message) => Promise.resolve(message), ['a,b']],
    ['an array', (message) => message.split(','), ['a', 'b']],
    ['an empty array', () => [], []],
    ['null', () => null, [null]],
  ])('makes the items of what toItems returns: %s', async (_, toItems, items) => {
    const broker = new Broker();
    await jobs.processQueueMessages('mail', broker.subscribe, { toItems });
    expect(await broker.deliver('a,b')).toMatchObject({
      items: items.length,
      done: items.length,
      rejected: undefined,
    });
    expect(worked).toEqual(items);
  });

  test('makes a message that is refused a dead letter, and takes the next ones', async () => {
    const broker = new Broker();
    await jobs.processQueueMessages('mail', broker.subscribe, { toItems: checked });
    const receipts: MessageReceipt[] = [];
    for (const message of ['bad', 'odd', 'nothing', 'unreadable', 'good'])
      receipts.push(await broker.deliver(message));
    expect(receipts.map(({ rejected }) => rejected)).toEqual([
      'no user',
      expect.stringMatching(/"odd"/),
      expect.stringMatching(/toItems returned undefined/),
      'no item',
      undefined,
    ]);
    expect(
      (await jobs.deadLetters()).map(({ payload, reason, attempts }) => [payload, reason, attempts]),
    ).toEqual([
      ['bad', 'rejected', 0],
      ['odd', 'rejected', 0],
      ['nothing', 'rejected', 0],
      ['unreadable', 'rejected', 0],
    ]);
    expect(worked).toEqual(['good']);
  });

  test('tells of a refusal for an error whose message is no text', async () => {
    const broker = new Broker();
    await jobs.processQueueMessages('mail', broker.subscribe, {
      toItems: () => {
        throw Object.assign(new Error(), { message: undefined });
      },
    });
    expect(await broker.deliver('a')).toMatchObject({ done: 0, failed: 1, rejected: 'undefined' });
  });

  test('leaves messages that it refuses with their sender when as many dead letters are kept as may be', async () => {
    await jobs.shutdown();
    jobs = start({ maxDeadLetters: 10 });
    const broker = new Broker();
    await jobs.processQueueMessages('mail', broker.subscribe, { toItems: checked });
    const receipts = await Promise.allSettled(Array.from({ length: 1_000 }, () => broker.deliver('bad')));
    const refused = receipts.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(990);
    expect(refused[0]).toMatchObject({
      reason: { code: 'DEAD_LETTERS_FULL', type: 'mail', maxDeadLetters: 10 },
    });
    expect(await jobs.deadLetters({ limit: 1_000 })).toHaveLength(10);
    await jobs.discardDeadLetters({ type: 'mail' });
    expect(await broker.deliver('bad')).toMatchObject({ rejected: 'no user' });
    expect(await broker.deliver('good')).toMatchObject({ done: 1 });
  });

  test('is shown at a console, and as JSON, by what is of use there', async () => {
    held = deferred();
    const broker = new Broker();
    const subscription = await jobs.processQueueMessages('mail', broker.subscribe, { acknowledge: 'stored' });
    await broker.deliver('a');
    expect(JSON.parse(JSON.stringify(subscription))).toEqual({
      type: 'mail',
      acknowledge: 'stored',
      unsettled: 1,
    });
    held.resolve();
    await jobs.waitForCompletion();
    await settle();
    expect(inspect(subscription, { breakLength: Infinity })).toBe(
      "MessageSubscription { type: 'mail', acknowledge: 'stored', unsettled: 0 }",
    );
  });

  test('acknowledges at once when it is asked to', async () => {
    held = deferred();
    const broker = new Broker();
    await jobs.processQueueMessages('mail', broker.subscribe, { acknowledge: 'stored' });
    expect(await broker.deliver('a')).toMatchObject({ items: 1, done: undefined, failed: undefined });
  });

  describe('of a message whose job is cancelled', () => {
    test.each(['settled', 'stored'] as const)(
      'tells the sender so, also of items that were still to be taken in (%s)',
      async (acknowledge) => {
        expect(await cancelled(acknowledge)).toMatchObject({
          items: 5,
          done: 2,
          failed: 0,
          cancelled: 3,
          rejected: undefined,
        });
        expect(worked).toEqual(['a', 'b']);
      },
    );
  });

  test('needs a worker type that exists', async () => {
    const broker = new Broker();
    const opening = jobs.processQueueMessages('male', broker.subscribe);
    await expect(opening).rejects.toMatchObject({ code: 'UNKNOWN_WORKER_TYPE' });
    expect(broker.deliver).toBeUndefined();
  });

  test('that can not be opened is closed, with what it had taken by then', async () => {
    held = deferred();
    let deliver!: Deliver<string>;
    const opening = jobs.processQueueMessages<string>('mail', (take) => {
      deliver = take;
      void take('early');
      throw new Error('no broker');
    });
    let opened = false;
    opening.catch(() => (opened = true));
    await settle();
    expect(opened).toBe(false);
    await expect(deliver('late')).rejects.toMatchObject({ code: 'SUBSCRIPTION_CLOSED' });
    held.resolve();
    await expect(opening).rejects.toThrow('no broker');
    expect(worked).toEqual(['early']);
  });
});

/** Resolves when so many items have failed that they are tried again later. */
async function retries(count: number): Promise<void> {
  const reached = deferred();
  let left = count;
  const stop = jobs.on('retry', () => --left === 0 && reached.resolve());
  await reached.promise;
  stop();
}

describe('close', () => {
  test('unsubscribes, settles what was taken, and refuses what comes later', async () => {
    held = deferred();
    const broker = new Broker();
    const subscription = await jobs.processQueueMessages('mail', broker.subscribe);
    const taken = [broker.deliver('a'), broker.deliver('b')];
    let closed = 0;
    const closings = [subscription.close(), subscription.close()];
    for (const closing of closings) void closing.then(() => closed++);
    await settle();
    expect(broker.unsubscribe).toHaveBeenCalledTimes(1);
    await expect(broker.deliver('c')).rejects.toMatchObject({
      code: 'SUBSCRIPTION_CLOSED',
      type: 'mail',
      message: 'Message for "mail": the subscription is closed and takes no more messages',
    });
    expect(closed).toBe(0);
    held.resolve();
    await Promise.all(closings);
    expect((await Promise.all(taken)).map(({ done }) => done)).toEqual([1, 1]);
    expect(worked).toEqual(['a', 'b']);
  });

  test('runs what awaits a retry, rather than wait for its delay', async () => {
    const broker = new Broker();
    const subscription = await jobs.processQueueMessages('mail', broker.subscribe);
    const taken = broker.deliver('later');
    await settle();
    expect(jobs.counts('mail').delayed).toBe(1);
    await subscription.close();
    expect(await taken).toMatchObject({ done: 1 });
    expect(worked).toEqual(['later', 'later']);
  });

  test.each(['settled', 'stored'] as const)(
    'runs nothing before its time that is not its own (%s)',
    async (acknowledge) => {
      const [one, other] = [new Broker(), new Broker()];
      const subscription = await jobs.processQueueMessages('mail', one.subscribe, { acknowledge });
      await jobs.processQueueMessages('mail', other.subscribe);
      const job = await jobs.distributeWork('mail', 'later');
      const taken = [one.deliver('later'), other.deliver('later')];
      await settle();
      expect(jobs.counts('mail').delayed).toBe(3);
      await subscription.close();
      await taken[0];
      expect(jobs.counts('mail')).toMatchObject({ delayed: 2, completed: 1 });
      expect(await job.retryFailedItems()).toBe(1);
      await job.completed;
      expect(jobs.counts('mail')).toMatchObject({ delayed: 1, completed: 2 });
      await jobs.shutdown();
      expect(await taken[1]).toMatchObject({ done: 1 });
    },
  );

  test('looks once at what is delayed, however many messages are under way, and once at those taken in later', async () => {
    const later = deferred();
    const broker = new Broker();
    const subscription = await jobs.processQueueMessages<string, string>('mail', broker.subscribe, {
      toItems: async (message) => {
        if (message === 'slow') await later.promise;
        return 'later';
      },
    });
    const retry = jobs.retryFailedItemsOf.bind(jobs);
    const retried: number[] = [];
    jobs.retryFailedItemsOf = (of) => {
      retried.push([...of].length);
      return retry(of);
    };
    let delayed = retries(100);
    const taken = Array.from({ length: 100 }, () => broker.deliver('a'));
    await delayed;
    const slow = Array.from({ length: 50 }, () => broker.deliver('slow'));
    const closing = subscription.close();
    await Promise.all(taken);
    delayed = retries(50);
    later.resolve();
    await delayed;
    expect(retried).toEqual([100, 50]);
    await jobs.retryFailedItems('mail');
    await closing;
    expect((await Promise.all(slow)).filter(({ done }) => done === 1)).toHaveLength(50);
  });

  test('waits for messages that were acknowledged before they were settled', async () => {
    held = deferred();
    const broker = new Broker();
    const subscription = await jobs.processQueueMessages('mail', broker.subscribe, { acknowledge: 'stored' });
    await broker.deliver('a');
    let closed = false;
    const closing = subscription.close().then(() => (closed = true));
    await settle();
    expect(closed).toBe(false);
    held.resolve();
    await closing;
    expect(jobs.counts('mail')).toMatchObject({ completed: 1 });
  });

  test('runs what has failed of a message before all of it was in the queue', async () => {
    await jobs.shutdown();
    jobs = start({ maxQueueSize: 2 });
    const broker = new Broker();
    const subscription = await jobs.processQueueMessages<string, string>('mail', broker.subscribe, {
      toItems: (message) => message.split(','),
    });
    gates.set('b', deferred());
    const taken = broker.deliver('later,b,c,d,e');
    await settle();
    expect(jobs.counts('mail')).toMatchObject({ delayed: 1 });
    const closing = subscription.close();
    await settle();
    gates.get('b')!.resolve();
    await closing;
    expect(await taken).toMatchObject({ items: 5, done: 5 });
  });

  test('waits for toItems of what was taken', async () => {
    const items = deferred<string>();
    const broker = new Broker();
    const subscription = await jobs.processQueueMessages('mail', broker.subscribe, {
      toItems: () => items.promise,
    });
    const taken = broker.deliver('a');
    const closing = subscription.close();
    await settle();
    items.resolve('item of a');
    await closing;
    expect(await taken).toMatchObject({ done: 1 });
    expect(worked).toEqual(['item of a']);
  });

  test('may be called from within the unsubscribing', async () => {
    let again: Promise<void> | undefined;
    const subscription = await jobs.processQueueMessages<string>('mail', () => () => {
      again = subscription.close();
    });
    const closing = subscription.close();
    await closing;
    expect(again).toBe(closing);
  });

  test('tells that unsubscribing failed, after all was settled', async () => {
    held = deferred();
    const broker = new Broker();
    broker.unsubscribe.mockImplementation(() => Promise.reject(new Error('connection lost')));
    const subscription = await jobs.processQueueMessages('mail', broker.subscribe);
    const taken = broker.deliver('a');
    let closed = false;
    const closing = subscription.close().finally(() => (closed = true));
    closing.catch(() => undefined);
    await settle();
    expect(closed).toBe(false);
    held.resolve();
    await expect(closing).rejects.toThrow('connection lost');
    expect(await taken).toMatchObject({ done: 1 });
  });

  test('leaves other subscriptions open', async () => {
    const [one, other] = [new Broker(), new Broker()];
    const subscription = await jobs.processQueueMessages('mail', one.subscribe);
    await jobs.processQueueMessages('mail', other.subscribe);
    await subscription.close();
    expect(await other.deliver('a')).toMatchObject({ done: 1 });
    await jobs.shutdown();
    expect(one.unsubscribe).toHaveBeenCalledTimes(1);
    expect(other.unsubscribe).toHaveBeenCalledTimes(1);
  });
});

describe('a shutdown of the process', () => {
  test('closes all subscriptions, works off what they took, and opens no more', async () => {
    held = deferred();
    const broker = new Broker();
    await jobs.processQueueMessages('mail', broker.subscribe);
    const taken = broker.deliver('a');
    await settle();
    const closed = jobs.shutdown();
    await expect(broker.deliver('b')).rejects.toMatchObject({ code: 'PROCESS_CLOSED' });
    held.resolve();
    await closed;
    expect(await taken).toMatchObject({ done: 1 });
    expect(broker.unsubscribe).toHaveBeenCalledTimes(1);
    await expect(broker.deliver('c')).rejects.toThrow('the worker process is shutting down');

    const late = new Broker();
    await expect(jobs.processQueueMessages('mail', late.subscribe)).rejects.toMatchObject({
      code: 'PROCESS_CLOSED',
    });
    expect(late.deliver).toBeUndefined();
    expect(jobs.shutdown()).toBe(jobs.shutdown());
  });

  test('is not waited for: the shutdown of the pool by itself closes them as well', async () => {
    held = deferred();
    const broker = new Broker();
    await jobs.processQueueMessages('mail', broker.subscribe);
    const taken = broker.deliver('a');
    await settle();
    const ended = jobs.pool.shutdown();
    await expect(broker.deliver('b')).rejects.toMatchObject({ code: 'PROCESS_CLOSED' });
    await settle();
    expect(broker.unsubscribe).toHaveBeenCalledTimes(1);
    held.resolve();
    await ended;
    expect(await taken).toMatchObject({ done: 1 });
    await jobs.shutdown();
    expect(broker.unsubscribe).toHaveBeenCalledTimes(1);
  });

  test('unsubscribes what was still being opened', async () => {
    const connected = deferred<Unsubscribe>();
    const unsubscribe = jest.fn<Unsubscribe>();
    const opening = jobs.processQueueMessages<string>('mail', () => connected.promise);
    await settle();
    const closed = jobs.shutdown();
    await settle();
    connected.resolve(unsubscribe);
    await closed;
    await opening;
    expect(unsubscribe).toHaveBeenCalledTimes(1);
  });

  test('is not kept from its work by a subscription that can not be ended', async () => {
    held = deferred();
    const failures: unknown[] = [];
    jobs.on('callbackFailed', (failure) => failures.push(failure));
    const [broken, sound] = [new Broker(), new Broker()];
    broken.unsubscribe.mockImplementation(() => {
      throw new Error('connection lost');
    });
    await jobs.processQueueMessages('mail', broken.subscribe);
    await jobs.processQueueMessages('mail', sound.subscribe);
    const taken = [broken.deliver('a'), sound.deliver('b')];
    await settle();
    const closed = jobs.shutdown();
    await settle();
    held.resolve();
    await closed;
    expect((await Promise.all(taken)).map(({ done }) => done)).toEqual([1, 1]);
    expect(failures).toEqual([
      { event: 'unsubscribe', error: expect.objectContaining({ message: 'connection lost' }) },
    ]);
  });

  test('does not wait for ever for one that hangs, and tells senders of unfinished messages so', async () => {
    await jobs.shutdown();
    const clock = new ManualClock();
    jobs = start({ clock, shutdownTimeoutMs: 0, abortGraceMs: 0 });
    held = deferred();
    const broker = new Broker();
    broker.unsubscribe.mockImplementation(() => new Promise(() => undefined));
    await jobs.processQueueMessages('mail', broker.subscribe);
    const taken = broker.deliver('a');
    await settle();
    const outcome = taken.catch((error: unknown) => error);
    const closed = jobs.shutdown();
    await clock.turn(5_000);
    await closed;
    expect(await outcome).toMatchObject({ code: 'PROCESS_CLOSED' });
  });
});

describe('a subscription', () => {
  test.each<[object, string]>([
    [
      { acknowledge: 'settld' },
      'acknowledge: expected when to acknowledge (known: stored, settled), got "settld"',
    ],
    [{ acknowlege: 'stored' }, 'acknowlege: unknown option; expected one of acknowledge, toItems'],
    [{ toItems: 'first' }, 'toItems: expected a function, got "first"'],
  ])('of wrong options is refused: %p', async (options, problem) => {
    const broker = new Broker();
    await expect(jobs.processQueueMessages('mail', broker.subscribe, options)).rejects.toThrow(
      `Subscription to "mail": ${problem}`,
    );
    expect(broker.deliver).toBeUndefined();
  });

  test.each<[string, unknown, string]>([
    ['no function', undefined, 'subscribe: expected a function, got undefined'],
    ['a function that returns none', () => 5, 'subscribe: expected it to return a function, got 5'],
  ])('by %s is refused', async (_, subscribe, problem) => {
    await expect(jobs.processQueueMessages('mail', subscribe as () => Unsubscribe)).rejects.toThrow(
      `Subscription to "mail": ${problem}`,
    );
  });

  test('keeps nothing of messages that are settled', async () => {
    const broker = new Broker();
    const subscription = await jobs.processQueueMessages<string>('mail', broker.subscribe);
    for (let count = 0; count < 10; count++) await broker.deliver('one');
    await settle();
    const { jobs: kept } = subscription as unknown as { jobs: Set<unknown> };
    expect(kept.size).toBe(0);
  });
});
