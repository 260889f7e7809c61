import { describe, expect, it } from '@jest/globals';
import { Gates } from '../../support/gates.js';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ timeoutMs: 0, maxConcurrency: 6, scalingThreshold: 1 });

describe('a listener of scaled', () => {
  it('is told of each change in order, although one before it sets off more', async () => {
    const process = start();
    const gates = new Gates();
    for (const type of ['first', 'second']) process.register(type, { processItem: gates.processItem });
    const end = process.on('scaled', () => {
      end();
      process.pool.addWorker('second');
    });
    const scaled = process.heard('scaled');
    process.offer('first', 1);
    process.offer('second', 1);
    await settle();
    expect(scaled.map(({ type, from, to }) => [type, from, to])).toEqual([
      ['first', 0, 1],
      ['second', 0, 1],
      ['second', 1, 2],
    ]);
    await gates.drain();
  });
});
