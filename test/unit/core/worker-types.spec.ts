import { describe, expect, it } from '@jest/globals';
import { DuplicateWorkerTypeError, UnknownWorkerTypeError } from '../../../src/core/errors.js';
import { Worker } from '../../../src/core/worker.js';
import { Gates } from '../../support/gates.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ timeoutMs: 0 });

describe('a definition', () => {
  it.each([
    [{}, 'expected one of worker, processItem and processBatch, got none'],
    [{ processItem: () => 0, processBatch: () => 0 }, 'got processItem and processBatch'],
    [{ create: () => ({}), processItem: () => 0 }, 'expected worker, the class of what create makes'],
  ])('that contradicts itself is refused: %o', (definition, message) => {
    const process = start();
    expect(() => process.register('type', definition as never)).toThrow(message);
    expect(process.types).toEqual([]);
  });

  it('needs a name for its type', () => {
    expect(() => start().register('', { processItem: () => 0 })).toThrow(
      'expected a type name that is not empty',
    );
  });
});

describe('a worker type', () => {
  it('is registered once, and known by its name only', async () => {
    const process = start();
    process.register('type', { processItem: () => undefined });
    expect(() => process.register('type', { processItem: () => undefined })).toThrow(
      DuplicateWorkerTypeError,
    );
    expect(process.types).toEqual(['type']);
    expect(() => process.register('wrong', { processItem: () => 0, batchSize: 0 })).toThrow('batchSize');
    expect(process.types).toEqual(['type']);
    await expect(process.distributeWork('tpye', 1)).rejects.toThrow(
      'Unknown worker type "tpye"; known types: type',
    );
    const acts = [
      () => process.offer('x', 1),
      () => process.counts('x'),
      () => process.pool.addWorker('x'),
      () => process.pool.removeWorker('x'),
      () => process.pool.workerCount('x'),
    ];
    for (const act of acts) expect(act).toThrow(UnknownWorkerTypeError);
    const answers = [
      process.waitForCompletion('x'),
      process.depth('x'),
      process.pause('x'),
      process.resume('x'),
      process.deadLetters({ type: 'x' }),
      process.retryFailedItems('x'),
      process.redriveDeadLetters({ type: 'x' }),
      process.discardDeadLetters({ type: 'x' }),
      process.rejectItem('x', 1, new Error('no')),
    ];
    for (const answer of answers) await expect(answer).rejects.toThrow(UnknownWorkerTypeError);
  });

  it('keeps idle workers until their time, and minWorkers for ever', async () => {
    const process = start({ maxConcurrency: 4, scalingThreshold: 1, idleTimeoutMs: 1_000 });
    process.register('type', { processItem: settle, minWorkers: 2 });
    await settle();
    expect(process.pool.workerCount('type')).toBe(2);
    await process.distributeWork('type', [1, 2, 3, 4]);
    await process.waitForCompletion();
    await process.clock.turn(900);
    expect(process.pool.workerCount('type')).toBe(4);
    await process.clock.turn(200);
    expect(process.pool.workerCount('type')).toBe(2);
    await process.clock.turn(100_000);
    expect(process.pool.workerCount('type')).toBe(2);
  });

  it('gets its minWorkers although the first ones could not start, and nothing else happens', async () => {
    const process = start();
    let fails = true;
    class Fragile extends Worker {
      override processItem(): void {}
      override onStart(): void {
        if (fails) throw new Error('not yet');
      }
    }
    process.register('type', { worker: Fragile, minWorkers: 1 });
    await process.clock.turn(300);
    expect(process.pool.workerCount()).toBe(0);
    fails = false;
    await process.clock.turn(400);
    expect(process.pool.workerCount()).toBe(1);
  });

  it('starts nothing while it is paused, lets running items finish, and goes on when resumed', async () => {
    const process = start({ maxConcurrency: 2, scalingThreshold: 1 });
    const gates = new Gates();
    process.register('type', { processItem: gates.processItem });
    const paused = process.heard('paused');
    const resumed = process.heard('resumed');
    await process.distributeWork('type', [1, 2, 3, 4]);
    await settle();
    void process.pause('type');
    void process.pause('type');
    await gates.letGo();
    await process.clock.turn(5_000);
    expect(process.counts()).toMatchObject({ completed: 2, waiting: 2, running: 0 });
    expect(process.pool.workerCount()).toBe(0);
    expect(process.offer('type', 5)).toBe(true);
    void process.resume('type');
    void process.resume('type');
    await settle();
    expect(gates.running).toBe(2);
    await gates.drain();
    await process.waitForCompletion();
    expect(paused).toEqual([{ type: 'type', reason: 'requested' }]);
    expect(resumed).toEqual(paused);
  });

  it('reports how it does', async () => {
    const process = start({ maxConcurrency: 2, scalingThreshold: 1, retry: { limit: 0 } });
    const gates = new Gates();
    process.register('type', { processItem: gates.processItem });
    await process.distributeWork('type', [1, 2, 3, 4]);
    await process.clock.turn(500);
    await gates.letGo(1);
    await process.clock.turn(500);
    const report = process.reportPerformance();
    expect(report).toMatchObject({ intervalMs: 1_000, totalItemsProcessed: 1, workers: 2 });
    expect(report.types).toEqual([
      expect.objectContaining({
        type: 'type',
        workers: 2,
        busyWorkers: 2,
        targetWorkers: 2,
        itemsPerSecond: 1,
        meanAttemptMs: 500,
        completed: 1,
        waiting: 1,
        running: 2,
      }),
    ]);
    await gates.drain();
    await process.clock.turn(1_500);
    // Each reader has its own former report, and takes nothing from the others.
    const second = process.reportPerformance(report);
    expect(second).toMatchObject({ intervalMs: 1_500, types: [{ itemsPerSecond: 2, busyWorkers: 0 }] });
    expect(process.reportPerformance(report)).toEqual(second);
    expect(process.reportPerformance()).toMatchObject({
      intervalMs: 2_500,
      types: [{ itemsPerSecond: 1.6 }],
    });
    expect(process.reportPerformance(second)).toMatchObject({
      intervalMs: 0,
      types: [{ itemsPerSecond: 0, meanAttemptMs: undefined }],
    });
    expect(process.totalItemsProcessed).toBe(4);
  });
});
