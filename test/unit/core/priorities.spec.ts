/* oxlint-disable jest/no-conditional-expect -- checked against a model, step by step */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { PriorityLanes } from '../../../src/core/priority-lanes.js';
import { PRIORITIES, type Priority } from '../../../src/core/priority.js';
import { Envelope } from '../../../src/core/envelope.js';
import { makeJob } from '../../support/jobs.js';
import { processesWith } from '../../support/processes.js';
import { emptyItem } from '../../support/taken-items.js';

const start = processesWith({ timeoutMs: 0, maxConcurrency: 1, priorities: true });

function jobsOf(priority: Priority, count: number, name = priority[0]!) {
  return Array.from({ length: count }, (_, index) => `${name}${index}`);
}

/** A paused type, into which work of all priorities is put, and what it starts. */
async function startFull(counts: Record<Priority, number>) {
  const process = start();
  const started: string[] = [];
  process.register('type', { processItem: (payload: string) => void started.push(payload) });
  void process.pause('type');
  for (const priority of PRIORITIES.toReversed()) {
    await process.distributeWork('type', jobsOf(priority, counts[priority]), { priority });
  }
  return { process, started };
}

const letters = (started: readonly string[]) => started.map((payload) => payload[0]!).join('');

describe('priorities', () => {
  it('let high ones go first, in shares that starve none', async () => {
    const { process, started } = await startFull({ high: 40, normal: 10, low: 3 });
    void process.resume('type');
    await process.waitForCompletion();
    const round = `${'h'.repeat(16)}nnnnl`;
    expect(letters(started)).toBe(`${round}${round}${'h'.repeat(8)}nnl`);
  });

  it('let low ones go at full speed where there are no others', async () => {
    const { process, started } = await startFull({ high: 0, normal: 0, low: 100 });
    void process.resume('type');
    await process.waitForCompletion();
    expect(started).toEqual(jobsOf('low', 100));
  });

  it('keep the order within a lane, and what comes without one is normal', async () => {
    const { process, started } = await startFull({ high: 1, normal: 2, low: 1 });
    expect(process.offer('type', 'offered')).toBe(true);
    await process.distributeWork('type', 'submitted');
    void process.resume('type');
    await process.waitForCompletion();
    expect(started).toEqual(['h0', 'n0', 'n1', 'offered', 'submitted', 'l0']);
  });

  it('stay with an item when it is retried', async () => {
    const process = start({ retry: { limit: 1, backoffMs: 0, jitter: 0 } });
    const started: string[] = [];
    process.register('type', {
      processItem: (payload: string, { attempt }) => {
        started.push(payload);
        if (payload === 'h0' && attempt === 1) throw new Error('once');
      },
    });
    void process.pause('type');
    await process.distributeWork('type', jobsOf('normal', 30), { priority: 'normal' });
    await process.distributeWork('type', ['h0'], { priority: 'high' });
    void process.resume('type');
    await process.clock.turn(0);
    await process.waitForCompletion();
    expect(started.filter((payload) => payload === 'h0')).toHaveLength(2);
    expect(process.counts('type')).toMatchObject({ completed: 31 });
  });

  it('fill batches from several lanes', async () => {
    const process = start({ batchSize: 4 });
    const batches: string[][] = [];
    process.register('type', {
      processBatch: (payloads: readonly string[]) => void batches.push([...payloads]),
    });
    void process.pause('type');
    await process.distributeWork('type', ['l0', 'l1'], { priority: 'low' });
    await process.distributeWork('type', ['h0', 'h1', 'h2'], { priority: 'high' });
    void process.resume('type');
    await process.waitForCompletion();
    expect(batches).toEqual([['h0', 'h1', 'h2', 'l0'], ['l1']]);
  });

  it('need a type that has them, and a known name', async () => {
    const process = start({ priorities: false });
    process.register('plain', { processItem: () => undefined });
    process.register('type', { processItem: () => undefined, priorities: true });
    await expect(process.distributeWork('plain', 1, { priority: 'high' })).rejects.toThrow(
      'distributeWork(): priority: expected a worker type with priorities: true, got "plain"',
    );
    await expect(process.distributeWork('type', 1, { priority: 'urgent' as 'high' })).rejects.toThrow(
      'priority: expected a priority (known: high, normal, low), got "urgent"',
    );
  });
});

describe('PriorityLanes', () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('push' as const),
      lane: fc.nat({ max: 2 }),
      count: fc.integer({ min: 1, max: 20 }),
    }),
    fc.record({ kind: fc.constant('come back' as const), lane: fc.nat({ max: 2 }) }),
    fc.record({ kind: fc.constant('take' as const), count: fc.integer({ min: 1, max: 20 }) }),
    fc.record({ kind: fc.constant('drop' as const), lane: fc.nat({ max: 2 }) }),
  );

  it('loses nothing, keeps the order of each lane, and counts what waits, whatever is done to it', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const lanes = new PriorityLanes();
        const item = emptyItem();
        let sequence = 0;
        const waiting: number[][] = [[], [], []];
        const makeLaneJob = (lane: number) => Object.assign(makeJob(sequence++), { lane });
        const jobs = [0, 1, 2].map(makeLaneJob);
        for (const now of steps) {
          switch (now.kind) {
            case 'push': {
              const payloads = Array.from({ length: now.count }, () => sequence++);
              const job = jobs[now.lane]!;
              lanes.pushMany(job, job.accept(now.count), payloads, 0, now.count);
              waiting[now.lane]!.push(...payloads);
              break;
            }
            case 'come back': {
              const payload = sequence++;
              const job = jobs[now.lane]!;
              lanes.pushEnvelope(new Envelope(payload, job, job.accept(1), 1));
              waiting[now.lane]!.push(payload);
              break;
            }
            case 'take':
              for (let taken = 0; taken < now.count && lanes.take(item); taken++) {
                expect(item.payload).toBe(waiting[item.job.lane]!.shift());
              }
              break;
            case 'drop':
              jobs[now.lane]!.isDropped = true;
              expect(lanes.drop(jobs[now.lane]!)).toBe(waiting[now.lane]!.length);
              waiting[now.lane] = [];
              jobs[now.lane] = makeLaneJob(now.lane);
              break;
            default:
              now satisfies never;
          }
          expect(lanes.size).toBe(waiting.flat().length);
        }
        while (lanes.take(item)) expect(item.payload).toBe(waiting[item.job.lane]!.shift());
        expect(waiting.flat()).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
