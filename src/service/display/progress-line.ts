import { countText, rateText } from './number-text.js';
import { fitText, padEnd } from './text-width.js';
import type { Progress } from './progress.js';

const NAME_COLUMNS = 18;
const BAR_COLUMNS = 10;

/** `user-processing  [█████░░░░░]  50 %  5,000 / 10,000  12 failed  1,650/s`, which fits a terminal of 80 columns */
export function progressLine(progress: Progress, { withBar }: { withBar: boolean }): string {
  const { name, done, failed, total, elapsedMs } = progress;
  const share = total === undefined ? undefined : shareOf(done, total);
  return [
    padEnd(fitText(name, NAME_COLUMNS), NAME_COLUMNS),
    ...(withBar ? [bar(share)] : []),
    share === undefined ? '    ' : `${String(Math.floor(share * 100)).padStart(3)} %`,
    total === undefined ? countText(done) : `${countText(done)} / ${countText(total)}`,
    ...(failed > 0 ? [`${countText(failed)} failed`] : []),
    ...(done > 0 && elapsedMs > 0 ? [`${rateText((done / elapsedMs) * 1_000)}/s`] : []),
  ].join('  ');
}

/** From 0 to 1; nothing to do is all done, and more than expected is no more than all. */
export function shareOf(done: number, total: number): number {
  return total <= 0 ? 1 : Math.min(1, done / total);
}

function bar(share: number | undefined): string {
  if (share === undefined) return `[${'·'.repeat(BAR_COLUMNS)}]`;
  const full = Math.floor(share * BAR_COLUMNS);
  return `[${'█'.repeat(full)}${'░'.repeat(BAR_COLUMNS - full)}]`;
}
