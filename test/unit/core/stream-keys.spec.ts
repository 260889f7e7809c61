import { describe, expect, it } from '@jest/globals';
import { ProcessClosedError } from '../../../src/core/errors.js';
import type { Job } from '../../../src/core/job.js';
import type { SubmitOptions } from '../../../src/core/submit-options.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ timeoutMs: 0, maxConcurrency: 1, shutdownTimeoutMs: 0, retry: { limit: 0 } });
const options = ['uniqueKey', 'orderKey'] as const;

function startWith() {
  const process = start({ maxQueueSize: 100 });
  const done: unknown[] = [];
  process.register('type', { processItem: (item: unknown) => void done.push(item) });
  return { process, done };
}

async function* slowly<Item>(items: Iterable<Item>): AsyncGenerator<Item> {
  for (const item of items) {
    await Promise.resolve();
    yield item;
  }
}

/** Keys that a job keeps, of both kinds. */
const kept = ({ uniqueKeys, orderKeys }: Job) => (uniqueKeys?.size ?? 0) + (orderKeys?.size ?? 0);

describe('a function that makes the keys of a stream', () => {
  it.each(options.flatMap((option) => [[option, 'async'] as const, [option, 'sync'] as const]))(
    'as its %s may cancel the job: of an %s source, nothing of it is taken in any more',
    async (option, kind) => {
      const { process, done } = startWith();
      const failures = process.heard('workerFailed');
      const controller = new AbortController();
      const items = ['a', 'stop', 'b'];
      const makeKey = (item: string) => {
        if (item === 'stop') controller.abort();
        return item;
      };
      const job = await process.distributeWork('type', kind === 'async' ? slowly(items) : new Set(items), {
        signal: controller.signal,
        [option]: makeKey,
      });
      // What is there at once has been read by the time that the signal is listened to.
      expect(await job.completed).toMatchObject({ status: 'cancelled', total: kind === 'async' ? 1 : 3 });
      await settle();
      expect(process.counts('type')).toMatchObject({ waiting: 0, submitted: job.accepted });
      expect(kept(job)).toBe(0);
      done.length = 0;
      const next = await process.distributeWork('type', ['stop', 'y'], { uniqueKey: (item: string) => item });
      expect(await next.completed).toMatchObject({ done: 2, duplicates: 0 });
      await process.waitForCompletion('type');
      expect(done).toEqual(['stop', 'y']);
      expect(failures).toEqual([]);
    },
  );

  it('is asked for both keys before one is held: where the second fails, the first is free', async () => {
    const { process } = startWith();
    void process.pause('type');
    const job = await process.distributeWork('type', new Set(['a', 'b']), {
      uniqueKey: (item: string) => item,
      orderKey: (item: string) => (item === 'b' ? '' : item),
    });
    await settle();
    expect(job.progress()).toMatchObject({ accepted: 1, total: 1 });
    expect(job.uniqueKeys?.size).toBe(1);
    void process.resume('type');
    expect(await job.completed).toMatchObject({ status: 'source-failed', done: 1 });
  });

  it.each(options)(
    'leaves no %s behind as the items end, so that an endless one is in bounded memory',
    async (option) => {
      const { process } = startWith();
      let job: Job | undefined = undefined;
      let most = 0;
      let read = 0;
      const source = (function* () {
        for (; read < 20_000; read++) {
          if (job !== undefined) most = Math.max(most, kept(job));
          yield read;
        }
      })();
      job = await process.distributeWork('type', slowly(source), { [option]: String });
      expect(await job.completed).toMatchObject({ done: 20_000 });
      expect(most).toBeGreaterThan(0);
      expect(most).toBeLessThanOrEqual(102);
      expect(kept(job)).toBe(0);
    },
  );
});

describe('a function that makes the keys of what is at hand', () => {
  it.each(options)('as its %s may end the process: nothing is taken in', async (option) => {
    const { process } = startWith();
    let closing = Promise.resolve();
    const makeKey = (item: number) => {
      closing = process.shutdown();
      return `${item}`;
    };
    await expect(process.distributeWork('type', [1, 2], { [option]: makeKey })).rejects.toThrow(
      ProcessClosedError,
    );
    expect(process.counts('type')).toMatchObject({ submitted: 0 });
    await process.clock.turn(60_000);
    await closing;
  });
});

it.each<[string, SubmitOptions, number]>([
  ['let go of', { uniqueKey: 'a' }, 1],
  ['kept', { orderKey: 'a' }, 0],
])('a source is %s where its options are refused or not: %j', async (_, submission, times) => {
  const { process } = startWith();
  void process.pause('type');
  let closed = 0;
  const source = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise<never>(() => undefined),
      return: async () => {
        closed++;
        return { done: true as const, value: undefined };
      },
    }),
  };
  await process.distributeWork('type', source, submission).catch(() => undefined);
  await settle();
  expect(closed).toBe(times);
});
