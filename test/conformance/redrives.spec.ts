import { describe, expect, test } from '@jest/globals';
import { UnrecoverableError, type DeadLetter } from '../../src/index.js';
import { deferred } from '../support/deferred.js';
import { engines, processesOn } from './engines.js';
import { Seen } from './seen.js';

const orderKey = () => 'key';

describe.each(engines)('redriven items on the $name engine', (engine) => {
  const processes = processesOn(engine);

  test('run though their job was cancelled before', async () => {
    const process = processes.start({ maxConcurrency: 1 });
    const started = new Seen<number>();
    const gate = deferred();
    let isBroken = true;
    process.register('type', {
      processItem: async (payload: number) => {
        started.add(payload);
        if (payload !== 1) await gate.promise;
        else if (isBroken) throw new UnrecoverableError('no');
      },
    });
    const died = new Seen<DeadLetter>();
    process.on('deadLetter', died.add);
    const job = await process.distributeWork('type', [1, 2, 3, 4]);
    await died.reach(1);
    await started.reach(2);
    await job.cancel();
    gate.resolve();
    await process.waitForCompletion();
    isBroken = false;
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(1);
    await started.reach(3);
    await process.waitForCompletion();
    expect(started.all).toEqual([1, 2, 1]);
    expect(await process.deadLetters()).toEqual([]);
  });

  test('are not run at the same time as others with their order key', async () => {
    const process = processes.start({ maxConcurrency: 4 });
    const died = new Seen<DeadLetter>();
    process.on('deadLetter', died.add);
    const ran = new Seen<number>();
    const gate = deferred();
    let isBroken = true;
    let running = 0;
    let most = 0;
    process.register('type', {
      scalingThreshold: 1,
      processItem: async (payload: number) => {
        if (payload < 3 && isBroken) throw new UnrecoverableError('no');
        most = Math.max(most, ++running);
        if (payload === 3) await gate.promise;
        await new Promise((resolve) => setImmediate(resolve));
        running--;
        ran.add(payload);
      },
    });
    await process.distributeWork('type', [1, 2], { orderKey });
    await died.reach(2);
    isBroken = false;
    await process.distributeWork('type', [3, 4], { orderKey });
    expect(await process.redriveDeadLetters({ type: 'type' })).toBe(2);
    // Whatever has no order key is worked on meanwhile.
    await process.distributeWork('type', [5]);
    expect(await ran.reach(1)).toEqual([5]);
    most = 0;
    gate.resolve();
    await ran.reach(5);
    expect(most).toBe(1);
    expect(ran.all.slice(1)).toEqual([3, 4, 1, 2]);
  });
});
