import type { WorkerSample } from './run-summary.js';

const LEVELS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;
const NONE = ' ';

/**
 * A row of `columns` blocks, each the highest number of workers within its share of the time; blank where
 * none ran. A number holds until the next sample.
 *
 * @param highest what a full block stands for
 */
export function sparkline(
  samples: readonly WorkerSample[],
  { columns, durationMs, highest }: { columns: number; durationMs: number; highest: number },
): string {
  const peaks = Array<number>(columns).fill(0);
  const position = (atMs: number): number => (Math.min(atMs, durationMs) / Math.max(1, durationMs)) * columns;
  samples.forEach(({ atMs, workers }, index) => {
    const next = samples[index + 1];
    const first = Math.min(columns - 1, Math.floor(position(atMs)));
    const last = Math.max(first, next ? Math.ceil(position(next.atMs)) - 1 : columns - 1);
    for (let column = first; column <= last; column++) peaks[column] = Math.max(peaks[column] ?? 0, workers);
  });
  return peaks.map((workers) => block(workers, highest)).join('');
}

function block(workers: number, highest: number): string {
  if (workers <= 0) return NONE;
  const level = Math.ceil((workers / Math.max(1, highest)) * LEVELS.length);
  return LEVELS[Math.min(LEVELS.length, level) - 1] ?? NONE;
}
