import { describe, expect, test } from '@jest/globals';
import type { Lease } from '../../../src/engines/durable/chunk-queue.js';
import { dueAt } from '../../../src/engines/durable/due-time.js';
import { itemText } from '../../../src/engines/durable/item-text.js';
import { splitJobId } from '../../../src/engines/durable/job-id.js';
import { itemsToHold } from '../../../src/engines/durable/lease-ahead.js';
import { deathsOf, SuspectGate } from '../../../src/engines/durable/suspects.js';
import { toStoredError } from '../../../src/engines/durable/stored-error.js';

describe('how much a process leases ahead', () => {
  test('is two pieces for each worker while it is slow, and what it does in 50 ms when it is fast', () => {
    expect(itemsToHold(0, 10, 1)).toBe(20);
    expect(itemsToHold(0.001, 4, 100)).toBe(800);
    expect(itemsToHold(300, 10, 1)).toBe(15_000);
  });
});

test('items that are due within 100 ms of one another are due together, and none too early', () => {
  expect([dueAt(0), dueAt(1), dueAt(100), dueAt(100.5)]).toEqual([0, 100, 100, 200]);
});

test("a job's id comes apart at its last dash, whatever the prefix has", () => {
  expect(splitJobId('a-b_c-17')).toEqual({ idPrefix: 'a-b_c', sequence: 17 });
});

describe('an item as text', () => {
  test('is refused by its place and its size', () => {
    expect(() => itemText('x'.repeat(9), 'mail', 3, 10)).toThrow(
      'Item at 3 for "mail": expected at most 10 bytes of JSON (maxItemBytes), got 11',
    );
    // Eight characters and two quotes, of which each character takes three bytes.
    expect(() => itemText('€'.repeat(8), 'mail', 0, 25)).toThrow('got 26');
    expect(itemText('€'.repeat(8), 'mail', 0, 26)).toBe(`"${'€'.repeat(8)}"`);
  });

  test.each([[1n], [undefined], [() => undefined], [new Uint8Array(2)], [{ deep: [1n] }]])(
    'is refused when JSON does not say it: %p',
    (payload) => {
      expect(() => itemText(payload, 'mail', 0, 1_000)).toThrow(
        /^Item at 0 for "mail": expected a JSON value, got \w/,
      );
    },
  );
});

function lease(parts: Partial<Lease>): Lease {
  return { chunkId: 'a', number: 1, lapses: 0, content: {}, noted: undefined, ...parts };
}

describe('an item that may have killed its process', () => {
  test('has it counted only when it was the one that ran alone', () => {
    expect(deathsOf(lease({}))).toBe(0);
    expect(deathsOf(lease({ number: 3, noted: { startedUnder: 2 } }))).toBe(1);
    expect(deathsOf(lease({ number: 3, noted: { startedUnder: 2, deaths: 2 } }))).toBe(3);
    // It waited for its turn when the next process died: that death is not its, and the one before stays.
    expect(deathsOf(lease({ number: 4, noted: { startedUnder: 2, deaths: 1 } }))).toBe(2);
    // It ended in order under that lease.
    expect(deathsOf(lease({ number: 3, noted: { deaths: 1 } }))).toBe(1);
    expect(deathsOf(lease({ number: 2, noted: { startedUnder: 2, deaths: 1 } }))).toBe(1);
  });

  test('has its turn when the one before has gone', async () => {
    const gate = new SuspectGate();
    const turns: string[] = [];
    await gate.enter();
    const second = gate.enter().then(() => turns.push('second'));
    const third = gate.enter().then(() => turns.push('third'));
    await Promise.resolve();
    expect(turns).toEqual([]);
    gate.leave();
    await second;
    expect(turns).toEqual(['second']);
    gate.leave();
    await third;
    gate.leave();
    await gate.enter();
  });
});

class Odd extends Error {
  readonly code = 'E_ODD';
  override get name(): string {
    throw new Error('no name');
  }
}

test('an error is kept with what it says, whatever it is made of', () => {
  expect(toStoredError(new Odd('odd'))).toMatchObject({ name: 'Error', message: 'odd', code: 'E_ODD' });
  expect(toStoredError(new Error('x'.repeat(20_000))).message).toHaveLength(10_000);
});
