import { describe, expect, it } from '@jest/globals';
import { Gates } from '../../support/gates.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ timeoutMs: 0, maxConcurrency: 1, maxQueueSize: 4 });

describe('an array that comes while others wait in line', () => {
  it('waits behind them, although there is room by then', async () => {
    const process = start();
    const gates = new Gates();
    const order: string[] = [];
    process.register('type', {
      processItem: (payload: string) => {
        order.push(payload);
        return gates.processItem();
      },
    });
    await process.distributeWork('type', ['first', 'x', 'x', 'x']);
    await settle();
    process.offer('type', 'x');
    const early = process.distributeWork('type', ['early']);
    await gates.letGo();
    // Those in line are let in once it is half empty.
    expect(process.counts()).toMatchObject({ waiting: 3, running: 1 });
    const late = process.distributeWork('type', ['late']);
    expect(process.counts()).toMatchObject({ waiting: 3, running: 1 });
    await gates.drain();
    await Promise.all([early, late]);
    expect(order).toEqual(['first', 'x', 'x', 'x', 'x', 'early', 'late']);
  });
});
