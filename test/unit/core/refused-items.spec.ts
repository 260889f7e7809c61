import { describe, expect, it } from '@jest/globals';
import { settle } from '../../support/manual-clock.js';
import { processesWith } from '../../support/processes.js';

const start = processesWith({ maxDeadLetters: 2 });

describe('items that are refused before their first attempt', () => {
  it('pause their type when they fill the dead letters, until some are discarded', async () => {
    const process = start();
    const handled: unknown[] = [];
    process.register('type', { processItem: (payload) => handled.push(payload) });
    const [paused, resumed] = [process.heard('paused'), process.heard('resumed')];
    await process.rejectItem('type', 'bad', new Error('no such field'));
    expect(paused).toEqual([]);
    await process.rejectItem('type', 'worse', new Error('no such field'));
    expect(paused).toEqual([{ type: 'type', reason: 'dead-letters-full' }]);
    await process.distributeWork('type', 'good');
    await settle();
    expect(handled).toEqual([]);
    await process.discardDeadLetters({ ids: [(await process.deadLetters())[0]!.id] });
    await settle();
    expect(resumed).toEqual(paused);
    expect(handled).toEqual(['good']);
  });
});
