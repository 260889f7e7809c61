import { createProgressBars } from './progress-bars.js';
import { createProgressLines } from './progress-lines.js';
import type { ProgressDisplay } from './progress.js';

export type DisplayOutput = NodeJS.WritableStream & { readonly isTTY?: boolean };

/**
 * Bars that move where a person looks on; plain lines, and few of them, where the output goes to a file or a
 * log.
 */
export function createProgressDisplay(output: DisplayOutput): ProgressDisplay {
  return output.isTTY ? createProgressBars(output) : createProgressLines(output);
}
