import { afterEach } from '@jest/globals';
import type { WorkerProcessOptionsInput } from '../../src/core/options.js';
import { ManualProcess } from './manual-process.js';

/** Options of a process whose time the test turns. */
export type ManualOptions = WorkerProcessOptionsInput & { clock?: ManualProcess['clock'] };

/** For the head of a spec. @returns what makes processes with these options, each ended after its test */
export function processesWith(defaults: ManualOptions): (options?: ManualOptions) => ManualProcess {
  const started: ManualProcess[] = [];
  afterEach(async () => {
    for (const process of started.splice(0)) await process.end();
  });
  return (options = {}) => {
    const process = new ManualProcess({ ...defaults, ...options });
    started.push(process);
    return process;
  };
}
