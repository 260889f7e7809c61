import { describe, expect, it } from '@jest/globals';
import { UnknownWorkerTypeError } from '../../../src/core/errors.js';
import { Worker } from '../../../src/core/worker.js';
import { Gates } from '../../support/gates.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ timeoutMs: 0 });

describe('addWorker and removeWorker', () => {
  it('adds a worker beyond the formula, which leaves when it has been idle', async () => {
    const process = start({ maxConcurrency: 3, scalingThreshold: 100, idleTimeoutMs: 500 });
    const gates = new Gates();
    process.register('type', { processItem: gates.processItem, maxConcurrency: 2 });
    const scaled = process.heard('scaled');
    await process.distributeWork('type', Array.from({ length: 4 }));
    await settle();
    expect(gates.running).toBe(1);
    expect(process.pool.addWorker('type')).toBe(true);
    await settle();
    expect(gates.running).toBe(2);
    expect(scaled.at(-1)).toMatchObject({ from: 1, to: 2, reason: 'requested' });
    expect(process.pool.addWorker('type')).toBe(false);
    await gates.drain();
    await process.clock.turn(1_000);
    expect(process.pool.workerCount()).toBe(0);
    expect(process.pool.addWorker('type')).toBe(true);
    expect(process.pool.workerCount()).toBe(1);
    await process.clock.turn(1_000);
    expect(process.pool.workerCount()).toBe(0);
  });

  it('does not claim to have added a worker that cannot start yet', async () => {
    const process = start();
    let fails = true;
    class Fragile extends Worker {
      override processItem(): void {}
      override onStart(): void {
        if (fails) throw new Error('not yet');
      }
    }
    process.register('type', { worker: Fragile });
    expect(process.pool.addWorker('type')).toBe(true);
    await settle();
    expect(process.pool.workerCount()).toBe(0);
    expect(process.pool.addWorker('type')).toBe(false);
    fails = false;
    await process.clock.turn(600);
    expect(process.pool.addWorker('type')).toBe(true);
    await settle();
    expect(process.pool.workerCount()).toBe(1);
  });

  it('removes a worker when it has finished what it holds', async () => {
    const process = start({ maxConcurrency: 2, scalingThreshold: 1 });
    const gates = new Gates();
    process.register('type', { processItem: gates.processItem, scalingPolicy: ({ current }) => current });
    process.pool.addWorker('type');
    process.pool.addWorker('type');
    await process.distributeWork('type', [1, 2, 3, 4]);
    await settle();
    expect(gates.running).toBe(2);
    expect(process.pool.removeWorker('type')).toBe(true);
    await settle();
    expect(gates.running).toBe(2);
    expect(process.pool.workerCount()).toBe(2);
    await gates.letGo();
    expect(process.counts()).toMatchObject({ completed: 2, running: 1, failedAttempts: 0 });
    expect(process.pool.workerCount()).toBe(1);
    await gates.drain();
    await process.waitForCompletion();
    await process.clock.turn(60_000);
    expect(process.pool.removeWorker('type')).toBe(false);
  });
});

/** Two types of which the first is told of before the second; both get their first items in one stretch. */
function startTwo() {
  const process = start({ maxConcurrency: 6, scalingThreshold: 1 });
  const [first, second] = [new Gates(), new Gates()];
  process.register('first', { processItem: first.processItem });
  process.register('second', { processItem: second.processItem });
  const offer = (type: string, count: number) => {
    for (let i = 0; i < count; i++) process.offer(type, i);
  };
  const targetOf = (type: string) =>
    process.reportPerformance().types.find((performance) => performance.type === type)!.targetWorkers;
  /** Acts once, when the first type is told to be scaled. */
  const whenScaled = (act: () => unknown) => {
    const end = process.on('scaled', ({ type }) => {
      if (type !== 'first') return;
      end();
      act();
    });
  };
  const letAllGo = async () => {
    await first.drain();
    await second.drain();
  };
  return { process, first, second, offer, targetOf, whenScaled, letAllGo };
}

describe('a listener of scaled', () => {
  it('that adjusts the worker count has the last word, and is told of each change in order', async () => {
    const { process, offer, targetOf, whenScaled, letAllGo } = startTwo();
    const scaled = process.heard('scaled');
    whenScaled(() => {
      offer('second', 2);
      process.adjustWorkerCount();
      expect(targetOf('second')).toBe(3);
    });
    offer('first', 1);
    offer('second', 1);
    await settle();
    expect(targetOf('second')).toBe(3);
    const steps = scaled.filter(({ type }) => type === 'second').map(({ from, to }) => [from, to]);
    expect(steps).toEqual([
      [0, 1],
      [1, 3],
    ]);
    await letAllGo();
  });

  it('that adds a worker keeps it', async () => {
    const { process, second, offer, targetOf, whenScaled, letAllGo } = startTwo();
    offer('second', 1);
    await settle();
    const scaled = process.heard('scaled');
    whenScaled(() => expect(process.pool.addWorker('second')).toBe(true));
    offer('first', 1);
    await settle();
    expect(targetOf('second')).toBe(2);
    expect(scaled).toMatchObject([
      { type: 'first', to: 1 },
      { type: 'second', from: 1, to: 2, reason: 'requested' },
    ]);
    offer('second', 1);
    await settle();
    expect(second.running).toBe(2);
    await letAllGo();
  });

  it('that pauses another type stops its workers', async () => {
    const { process, first, second, offer, targetOf, whenScaled, letAllGo } = startTwo();
    whenScaled(() => process.pause('second'));
    offer('first', 1);
    offer('second', 1);
    await settle();
    expect(targetOf('second')).toBe(0);
    expect([first.running, second.running]).toEqual([1, 0]);
    await letAllGo();
  });

  it('that ends the pool ends it: no worker goes on', async () => {
    const { process, second, offer, targetOf, whenScaled, letAllGo } = startTwo();
    offer('second', 1);
    await settle();
    let closed: Promise<void> | undefined;
    whenScaled(() => void (closed = process.pool.shutdown()));
    offer('first', 1);
    offer('second', 1);
    await settle();
    expect(targetOf('second')).toBe(0);
    await letAllGo();
    await closed;
    expect(process.counts('second')).toMatchObject({ completed: 1, waiting: 1 });
    expect(second.most).toBe(1);
    expect(process.pool.workerCount()).toBe(0);
  });
});

describe('a scaling policy', () => {
  it('that adjusts the worker count is asked once more, and no further', async () => {
    const process = start({ maxConcurrency: 4, scalingThreshold: 1 });
    const gates = new Gates();
    let asked = 0;
    process.register('type', {
      processItem: gates.processItem,
      scalingPolicy: ({ queueSize }) => {
        asked++;
        process.adjustWorkerCount();
        return queueSize;
      },
    });
    const failed = process.heard('callbackFailed');
    process.offer('type', 1);
    process.offer('type', 2);
    await settle();
    expect(asked).toBe(2);
    expect(failed).toEqual([]);
    expect(gates.running).toBe(2);
    await gates.drain();
  });

  it('may make another type known', async () => {
    const process = start({ maxConcurrency: 4 });
    process.register('type', {
      processItem: () => undefined,
      scalingPolicy: () => {
        if (process.types.length === 1) process.register('late', { processItem: () => undefined });
        return 1;
      },
    });
    const scaled = process.heard('scaled');
    process.offer('type', 1);
    await settle();
    expect(scaled).toMatchObject([{ type: 'type', to: 1 }]);
    await process.distributeWork('late', [1, 2]);
    await settle();
    expect(process.counts('late').completed).toBe(2);
  });

  it('that ends the pool ends it: no worker goes on', async () => {
    const process = start({ maxConcurrency: 4, scalingThreshold: 1 });
    const gates = new Gates();
    let closed: Promise<void> | undefined;
    process.register('type', {
      processItem: gates.processItem,
      scalingPolicy: ({ queueSize }) => {
        if (queueSize === 2) closed = process.pool.shutdown();
        return queueSize;
      },
    });
    process.offer('type', 1);
    await settle();
    process.offer('type', 2);
    await settle();
    expect(process.reportPerformance().types[0]!.targetWorkers).toBe(0);
    await gates.drain();
    await closed;
    expect(process.counts()).toMatchObject({ completed: 1, waiting: 1 });
  });
});

describe('the pool', () => {
  it.each(['nope', undefined, 5, null])('does not know the type %p', (type) => {
    const process = start();
    process.register('known', { processItem: () => undefined });
    const { pool } = process;
    const acts = [() => pool.addWorker(type as string), () => pool.removeWorker(type as string)];
    if (type !== undefined) acts.push(() => pool.workerCount(type as string) > 0);
    for (const act of acts) {
      expect(act).toThrow(UnknownWorkerTypeError);
      expect(act).toThrow(/^Unknown worker type ("nope"|undefined|5|null); known types: known$/);
    }
    expect(pool.workerCount(undefined)).toBe(0);
  });
});
