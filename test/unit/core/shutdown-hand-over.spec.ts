import { describe, expect, it, jest } from '@jest/globals';
import type { DeadLetter } from '../../../src/core/dead-letters.js';
import { HandOverTimeLimitError } from '../../../src/core/errors.js';
import type { UnfinishedItem } from '../../../src/core/events.js';
import { deferred } from '../../support/deferred.js';
import { settle } from '../../support/manual-clock.js';
import { start } from './ending-process.js';

describe('shutdown and what it leaves', () => {
  it('gives the dead letters that are kept to onDeadLetters, and waits for it', async () => {
    const gate = deferred();
    const given: DeadLetter[] = [];
    const { process } = start({
      retry: { limit: 0 },
      onDeadLetters: async (letters) => {
        await gate.promise;
        given.push(...letters);
      },
    });
    const left = process.heard('deadLettersLeft');
    await process.distributeWork('type', ['fails', 'fails', 'a']);
    await settle();
    let isOver = false;
    const closing = process.shutdown().then(() => (isOver = true));
    await settle();
    expect(isOver).toBe(false);
    gate.resolve();
    await closing;
    expect(given.map(({ payload, reason }) => [payload, reason])).toEqual([
      ['fails', 'attempts-exhausted'],
      ['fails', 'attempts-exhausted'],
    ]);
    expect(left).toEqual([]);
  });

  it.each([
    ['nobody takes', undefined],
    ['onDeadLetters fails to take', () => Promise.reject(new Error('no room'))],
  ])('tells of the dead letters that %s', async (_, onDeadLetters) => {
    const { process } = start({ retry: { limit: 0 }, onDeadLetters });
    const left = process.heard('deadLettersLeft');
    const failed = process.heard('callbackFailed');
    await process.distributeWork('type', ['fails', 'a']);
    await settle();
    await process.shutdown();
    expect(left).toMatchObject([{ letters: [{ payload: 'fails' }] }]);
    expect(failed.map(({ event }) => event)).toEqual(onDeadLetters === undefined ? [] : ['onDeadLetters']);
  });

  it('does not give away what a source keeps and will give again', async () => {
    const { process, unfinished } = start();
    const kept = await process.distributeWork('type', ['hangs', 'kept'], { keptBySource: true });
    const other = await process.distributeWork('type', ['other']);
    await settle();
    const closing = process.shutdown();
    await process.clock.turn(1_200);
    await closing;
    expect(unfinished.map(({ payload }) => payload)).toEqual(['other']);
    expect(await kept.completed).toMatchObject({ status: 'interrupted', handedBack: 2 });
    expect(await other.completed).toMatchObject({ status: 'interrupted', handedBack: 1 });
    expect(process.counts()).toMatchObject({ submitted: 3, handedBack: 3 });
  });

  it('hands an item back with the attempts that have failed', async () => {
    const { process, unfinished } = start({ retry: { limit: 5, backoffMs: 100, jitter: 0 } });
    await process.distributeWork('type', 'fails');
    await process.clock.turn(350);
    const closing = process.shutdown();
    await process.clock.turn(2_000);
    await closing;
    // At 0, 100, 300 and 700 ms; the next would be at 1,500, after the deadline at 1,350.
    expect(unfinished).toMatchObject([{ payload: 'fails', attempts: 4 }]);
    expect(process.clock.timers).toBe(0);
  });

  it('waits for onUnfinished, and tells the event when nobody took the items', async () => {
    const saved = deferred();
    const { process } = start({ onUnfinished: () => saved.promise, shutdownTimeoutMs: 0 });
    const events = process.heard('unfinished');
    void process.pause('type');
    process.offer('type', 'a');
    let isClosed = false;
    const closing = process.shutdown().then(() => (isClosed = true));
    await process.clock.turn(9_999);
    expect(isClosed).toBe(false);
    saved.resolve();
    await closing;
    expect(events).toEqual([]);

    for (const onUnfinished of [undefined, () => Promise.reject(new Error('disk full'))]) {
      const { process: other } = start({ onUnfinished });
      const unfinished = other.heard('unfinished');
      const failed = other.heard('callbackFailed');
      void other.pause('type');
      other.offer('type', 'a');
      await other.shutdown();
      expect(unfinished).toMatchObject([{ items: [{ payload: 'a' }] }]);
      expect(failed).toEqual(
        onUnfinished === undefined ? [] : [{ event: 'onUnfinished', error: new Error('disk full') }],
      );
    }
  });

  it('waits for both callbacks no longer than handOverTimeoutMs, and then tells the events what they have', async () => {
    const asked: string[] = [];
    const never = (name: string) => () => {
      asked.push(name);
      return new Promise<void>(() => undefined);
    };
    const { process } = start({
      onUnfinished: never('onUnfinished'),
      onDeadLetters: never('onDeadLetters'),
      handOverTimeoutMs: 300,
    });
    const [failed, unfinished, left] = [
      process.heard('callbackFailed'),
      process.heard('unfinished'),
      process.heard('deadLettersLeft'),
    ];
    await process.rejectItem('type', 'bad', new Error('checked'));
    void process.pause('type');
    process.offer('type', 'a');
    const closing = process.shutdown();
    await process.clock.turn(299);
    expect(asked).toEqual(['onUnfinished']);
    expect(failed).toEqual([]);
    // The first has used up the time of both; the second is called all the same.
    await process.clock.turn(2);
    await closing;
    expect(asked).toEqual(['onUnfinished', 'onDeadLetters']);
    expect(failed.map(({ event, error }) => [event, error])).toEqual([
      ['onUnfinished', new HandOverTimeLimitError('onUnfinished', 300)],
      ['onDeadLetters', new HandOverTimeLimitError('onDeadLetters', 300)],
    ]);
    expect(unfinished).toMatchObject([{ items: [{ payload: 'a' }] }]);
    expect(left).toMatchObject([{ letters: [{ payload: 'bad' }] }]);
    expect(process.clock.timers).toBe(0);
  });

  it('waits for the callbacks as long as they take with a handOverTimeoutMs of 0', async () => {
    const saved = deferred();
    const { process } = start({ onUnfinished: () => saved.promise, handOverTimeoutMs: 0 });
    void process.pause('type');
    process.offer('type', 'a');
    let isClosed = false;
    const closing = process.shutdown().then(() => (isClosed = true));
    await process.clock.turn(24 * 3_600_000);
    expect(isClosed).toBe(false);
    saved.resolve();
    await closing;
  });

  it('does not ask onUnfinished about nothing', async () => {
    const onUnfinished = jest.fn<(items: readonly UnfinishedItem[]) => void>();
    const { process } = start({ onUnfinished });
    await process.distributeWork('type', ['a']);
    await process.end();
    expect(onUnfinished).not.toHaveBeenCalled();
  });
});
