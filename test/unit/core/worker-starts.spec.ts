import { describe, expect, it } from '@jest/globals';
import { Worker } from '../../../src/core/worker.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ timeoutMs: 0, maxConcurrency: 1, idleTimeoutMs: 0 });

/** A worker class whose instances start as long as it is well. */
function fragileClass() {
  return class Fragile extends Worker {
    static isWell = false;
    override onStart(): void {
      if (!Fragile.isWell) throw new Error('no connection');
    }
    override processItem(): void {}
  };
}

describe('workers that can not start', () => {
  it('are tried again soon when one has started since', async () => {
    const process = start();
    const Fragile = fragileClass();
    process.register('type', { worker: Fragile });
    const failures = process.heard('workerFailed');
    const first = await process.distributeWork('type', ['first']);
    await process.clock.turn(1_000);
    expect(failures.map(({ retryInMs }) => retryInMs)).toEqual([500, 1_000]);
    Fragile.isWell = true;
    await process.clock.turn(1_000);
    expect(first.isEnded).toBe(true);
    expect(process.pool.workerCount()).toBe(0);
    Fragile.isWell = false;
    failures.length = 0;
    const second = await process.distributeWork('type', ['second']);
    await process.clock.turn(1_000);
    expect(failures.map(({ retryInMs }) => retryInMs)).toEqual([500, 1_000]);
    Fragile.isWell = true;
    await process.clock.turn(1_000);
    expect(second.isEnded).toBe(true);
  });

  it('are tried again although there is nothing to do, when some shall stay', async () => {
    const process = start();
    const Fragile = fragileClass();
    process.register('type', { worker: Fragile, minWorkers: 1 });
    const failures = process.heard('workerFailed');
    await process.clock.turn(400);
    expect(failures).toHaveLength(1);
    expect(process.pool.workerCount()).toBe(0);
    Fragile.isWell = true;
    await process.clock.turn(200);
    expect(process.pool.workerCount()).toBe(1);
  });
});
