import { describe, expect, test } from '@jest/globals';
import type { Job } from '../../../src/core/job.js';
import type { ChunkContent, ItemHead } from '../../../src/engines/durable/chunk-format.js';
import { ChunkIntake, type IntakeSetting } from '../../../src/engines/durable/chunk-intake.js';
import type { Lease } from '../../../src/engines/durable/chunk-queue.js';
import type { LeasedChunk } from '../../../src/engines/durable/leased-chunk.js';
import { SuspectGate } from '../../../src/engines/durable/suspects.js';
import type { TypeQueue } from '../../../src/engines/durable/type-queues.js';
import { ManualClock, settle } from '../../support/manual-clock.js';
import { ids, WatchedQueue } from './chunk-writes.js';

const WAIT_MS = 1_000;

/** An intake whose rate limit lets items start after `WAIT_MS`, if it has one. */
function intakeOf({ isLimited = false } = {}) {
  const clock = new ManualClock();
  /** What became of chunks, in order. */
  const told: unknown[] = [];
  const setting = {
    workload: {
      options: { rateLimit: isLimited ? { max: 1, durationMs: 1 } : undefined },
      isPaused: false,
      admitLeased: (_: Job, payloads: unknown, attempts: unknown) => told.push(['admit', payloads, attempts]),
      dropJob: () => undefined,
    },
    homes: { make: (idPrefix: string, sequence: number) => ({ id: `${idPrefix}-${sequence}`, waiting: 0 }) },
    state: { reserveStarts: () => Promise.resolve(WAIT_MS) },
    records: { cancelled: () => Promise.resolve(new Set()) },
    keeper: { all: [] },
    clock,
    pool: { abortJob: () => undefined },
    ids,
    suspects: new SuspectGate(),
    maxDeaths: 3,
    settled: () => told.push('settled'),
    handBack: () => told.push('handBack'),
    note: (chunk: LeasedChunk, note: object) => {
      told.push(['note', note]);
      chunk.noted = note;
      return Promise.resolve(true);
    },
    divide: () => told.push('divide'),
    troubled: (error: unknown) => told.push(error),
  };
  const intake = new ChunkIntake(setting as unknown as IntakeSetting);
  return { clock, intake, setting, told };
}

function lease(parts: Partial<Lease> = {}, heads?: Record<string, ItemHead>): Lease {
  const content: ChunkContent = {
    v: 1,
    of: [['loose', 'job-1', 0, 1]],
    ...(heads && { heads }),
    items: ['item'],
  };
  return { chunkId: 'a', number: 3, lapses: 0, content, noted: undefined, ...parts };
}

const suspect = () => lease({}, { 0: { s: 1 } });

function admit(intake: ChunkIntake, one: Lease, isOrdered = false): LeasedChunk {
  const { queue } = new WatchedQueue();
  const source: TypeQueue = { queue, name: 'items', lane: 1, isOrdered };
  const chunk = intake.open(source, one)!;
  intake.admit(chunk);
  return chunk;
}

describe('the intake of leased chunks', () => {
  test('forgives the process of an item one death, and has it worked on alone after the second', async () => {
    const { intake, told } = intakeOf();
    admit(intake, lease({ lapses: 1 }));
    await settle();
    expect(told.splice(0)).toEqual([['admit', ['item'], undefined]]);
    admit(intake, lease({ lapses: 2 }));
    await settle();
    const note = { deaths: 0, attempts: 0, startedUnder: 3 };
    expect(told).toEqual([
      ['note', note],
      ['admit', ['item'], undefined],
    ]);
  });

  test('has a suspect tried as long as it may die, with its attempts behind it', async () => {
    const { intake, told } = intakeOf();
    admit(intake, lease({ noted: { deaths: 1, attempts: 2, startedUnder: 2 } }, { 0: { s: 1 } }));
    await settle();
    expect(told).toEqual([
      ['note', { deaths: 2, attempts: 2, startedUnder: 3 }],
      ['admit', ['item'], [2]],
    ]);
  });

  test('has no item tried that has died as often as it may', async () => {
    const { intake, told } = intakeOf();
    const noted = { deaths: 2, attempts: 2, startedUnder: 2 };
    const chunk = admit(intake, lease({ noted }, { 0: { s: 1 } }));
    await settle();
    expect(told).toEqual(['settled']);
    expect(chunk.dead).toMatchObject([{ reason: 'process-died', attempts: 2, payload: 'item' }]);
  });

  test('starts nothing of a chunk whose lease is lost while it waits for the rate limit', async () => {
    const { clock, intake, told } = intakeOf({ isLimited: true });
    const chunk = admit(intake, lease());
    await settle();
    chunk.isLost = true;
    intake.letGoAll(chunk);
    await clock.turn(WAIT_MS);
    expect(told).toEqual(['settled']);
  });

  test.each([['an item'], ['a suspect']])(
    'gives %s back that waits for the rate limit as it stops',
    async (what) => {
      const { clock, intake, told } = intakeOf({ isLimited: true });
      admit(intake, lease({}, what === 'a suspect' ? { 0: { s: 1 } } : undefined));
      await settle();
      intake.stop();
      await intake.finish();
      // Nothing says of the suspect that it was started.
      expect([told, clock.timers]).toEqual([['handBack'], 0]);
    },
  );

  test('gives the suspects back that stand in line as it stops, one after another', async () => {
    const { intake, told } = intakeOf({ isLimited: true });
    for (let count = 0; count < 3; count++) admit(intake, lease({}, { 0: { s: 1 } }));
    await settle();
    intake.stop();
    await intake.finish();
    expect(told).toEqual(['handBack', 'handBack', 'handBack']);
  });

  test('passes the turn on of a suspect whose lease was lost while it stood in line', async () => {
    const { intake, told } = intakeOf();
    const [first, second] = [admit(intake, suspect()), admit(intake, suspect())];
    admit(intake, suspect());
    await settle();
    intake.letGoAll(second);
    first.completed(0, 1);
    await settle();
    const started = ['note', { deaths: 0, attempts: 0, startedUnder: 3 }];
    const admitted = ['admit', ['item'], [0]];
    expect(told).toEqual([started, admitted, 'settled', 'settled', started, admitted]);
  });

  test('starts nothing of a suspect whose lease is found lost as its start is noted', async () => {
    const { intake, setting, told } = intakeOf();
    setting.note = (chunk: LeasedChunk) => {
      intake.letGoAll(chunk);
      return Promise.resolve(false);
    };
    admit(intake, suspect());
    await settle();
    expect(told).toEqual(['settled']);
  });

  test('keeps an item of an order between its attempts, and has its gate open meanwhile', async () => {
    const { clock, intake, told } = intakeOf();
    const chunk = admit(intake, lease({}, { 0: { s: 1 } }), true);
    await settle();
    told.splice(0);
    chunk.leave(0, 1, 5_000);
    await settle();
    const dueAtMs = clock.wallNow() + 5_000;
    expect(told.splice(0)).toEqual([['note', { deaths: 0, attempts: 1, dueAtMs }]]);
    admit(intake, lease({}, { 0: { s: 1 } }));
    await settle();
    expect(told.splice(0)).toHaveLength(2);
    // The other one has the turn now.
    await clock.turn(4_999);
    expect(told).toEqual([]);
    expect(intake.releaseRetries()).toBe(1);
    await settle();
    expect([told, clock.timers]).toEqual([[], 0]);
  });

  test('has an item of an order that was handed on wait until it is due', async () => {
    const { clock, intake, told } = intakeOf();
    admit(intake, lease({ noted: { attempts: 1, dueAtMs: clock.wallNow() + 5_000 } }), true);
    await clock.turn(4_999);
    expect(told).toEqual([]);
    await clock.turn(1);
    expect(told).toEqual([['admit', ['item'], [1]]]);
  });
});
