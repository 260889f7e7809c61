import { expect, test } from '@jest/globals';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { LateOutcomes } from '../../../src/feeds/uploads/late-outcomes.js';
import { PageOutcomes } from '../../../src/feeds/uploads/page-outcomes.js';
import { RowTally } from '../../../src/feeds/uploads/row-tally.js';

const PAGES = 300;
const ROWS = 1_000;

const completed = { kind: 'completed' } as const;
const dead = { kind: 'dead', reason: 'unrecoverable', error: new Error('bad') } as const;

/** A page that was recorded; its first row is a dead letter, which keeps it alive. */
async function recordedPage(place: number, tally: RowTally, late: LateOutcomes): Promise<PageOutcomes> {
  const numbers = Array.from({ length: ROWS }, (_, index) => place * ROWS + index + 1);
  const page = new PageOutcomes(numbers, tally, late);
  numbers.forEach((_, index) => page.itemEnded(index, index === 0 ? dead : completed, 1));
  await page.record(() => Promise.resolve());
  return page;
}

function usedBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return getHeapStatistics().used_heap_size;
}

test('a page of which one row failed keeps nothing of the rows that are done', async () => {
  const late = new LateOutcomes(
    'known',
    {
      recordOutcomes: () => Promise.reject(new Error('not in this test')),
      finish: () => Promise.reject(new Error('not in this test')),
    },
    { writingBegan: () => undefined, writeFailed: () => undefined },
  );
  const tally = new RowTally();
  const pages = [await recordedPage(0, tally, late)];
  const before = usedBytes();
  for (let place = 1; place < PAGES; place++) pages.push(await recordedPage(place, tally, late));
  const bytesOfPage = (usedBytes() - before) / (PAGES - 1);
  // The numbers of all rows would take 20 bytes each, and more.
  expect(bytesOfPage).toBeLessThan(5 * ROWS);
  expect([pages.length, tally.failed]).toEqual([PAGES, PAGES]);
});
