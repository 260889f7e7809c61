import cliProgress, { type Options, type Params } from 'cli-progress';
import { progressLine } from './progress-line.js';
import type { ProgressDisplay, ProgressTrack } from './progress.js';

/** Bars, one below the other, for a terminal. */
export function createProgressBars(output: NodeJS.WritableStream): ProgressDisplay {
  const bars = new cliProgress.MultiBar({
    stream: output,
    format: barText,
    linewrap: true,
    // A terminal writes ^C where the cursor stands, which is in the last bar.
    forceRedraw: true,
    // The application has its own way to end at a signal.
    gracefulExit: false,
  });
  let isOpen = true;
  return {
    start(name: string, total?: number): ProgressTrack {
      if (!isOpen) return { update: () => undefined, finish: () => undefined };
      const payload: BarPayload = { name, total, failed: 0, startedAtMs: performance.now() };
      const bar = bars.create(total ?? 0, 0, payload);
      return {
        update(done, failed) {
          if (payload.finishedAtMs !== undefined) return;
          payload.failed = failed;
          bar.update(done);
        },
        finish() {
          payload.finishedAtMs ??= performance.now();
        },
      };
    },
    close() {
      if (!isOpen) return;
      isOpen = false;
      bars.stop();
    },
  };
}

interface BarPayload {
  readonly name: string;
  readonly total: number | undefined;
  readonly startedAtMs: number;
  failed: number;
  finishedAtMs?: number;
}

function barText(_options: Options, { value }: Params, payload: BarPayload): string {
  const { name, total, failed, startedAtMs, finishedAtMs = performance.now() } = payload;
  return progressLine(
    { name, done: value, failed, total, elapsedMs: finishedAtMs - startedAtMs },
    { withBar: true },
  );
}
