import { progressLine, shareOf } from './progress-line.js';
import type { ProgressDisplay, ProgressTrack } from './progress.js';

const LINE_INTERVAL_MS = 1_000;
const MILESTONES = 4;

/**
 * Plain lines for a file or a log: at 25, 50 and 75 % of what is known in size, at most one a second of what
 * is not, and one at the end.
 *
 * @param now the time in milliseconds, from any beginning. Default: `performance.now`.
 */
export function createProgressLines(
  output: NodeJS.WritableStream,
  now: () => number = () => performance.now(),
): ProgressDisplay {
  const unfinished = new Set<ProgressTrack>();
  let isOpen = true;
  return {
    start(name: string, total?: number): ProgressTrack {
      if (!isOpen) return { update: () => undefined, finish: () => undefined };
      const track = startTrack(name, total, output, now, () => unfinished.delete(track));
      unfinished.add(track);
      return track;
    },
    close() {
      isOpen = false;
      for (const track of unfinished) track.finish();
    },
  };
}

function startTrack(
  name: string,
  total: number | undefined,
  output: NodeJS.WritableStream,
  now: () => number,
  onFinish: () => void,
): ProgressTrack {
  const startedAtMs = now();
  let latest = { done: 0, failed: 0 };
  let reported = { milestone: 0, atMs: startedAtMs };
  let isEnded = false;

  const write = (): void => {
    const elapsedMs = now() - startedAtMs;
    output.write(`${progressLine({ name, total, elapsedMs, ...latest }, { withBar: false })}\n`);
  };

  return {
    update(done, failed) {
      if (isEnded) return;
      latest = { done, failed };
      if (done === 0) return;
      const current = { milestone: milestoneOf(done, total), atMs: now() };
      if (!isDue(reported, current, total !== undefined)) return;
      reported = current;
      write();
    },
    finish() {
      if (isEnded) return;
      isEnded = true;
      onFinish();
      write();
    },
  };
}

interface Report {
  readonly milestone: number;
  readonly atMs: number;
}

function isDue(reported: Report, current: Report, isTotalKnown: boolean): boolean {
  // The last milestone is the line at the end.
  if (isTotalKnown) return current.milestone > reported.milestone && current.milestone < MILESTONES;
  return current.atMs - reported.atMs >= LINE_INTERVAL_MS;
}

function milestoneOf(done: number, total: number | undefined): number {
  return total === undefined ? 0 : Math.floor(shareOf(done, total) * MILESTONES);
}
