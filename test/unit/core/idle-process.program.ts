import { Worker } from '../../../src/core/worker.js';
import { WorkerProcess } from '../../../src/core/worker-process.js';

/** A worker process that nobody shuts down, and that nothing but its work keeps alive. It prints what happens. */
const [state] = process.argv.slice(2) as [State];

export type State = 'has idle workers' | 'has work, but no worker yet';

class Printing extends Worker<string> {
  private static starts = 0;
  override onStart(): void {
    if (++Printing.starts === 1 && state === 'has work, but no worker yet') throw new Error('not yet');
  }
  override processItem(payload: string): void {
    console.log(`${payload} ends`);
  }
}

const work = new WorkerProcess({ timeoutMs: 0, maxConcurrency: 1 });
// The next worker starts half a second later.
work.on('workerFailed', ({ error }) => {
  console.log(error.message);
  work.offer('type', 'item');
});
work.register('type', { worker: Printing, minWorkers: 1 });
if (state === 'has idle workers') work.offer('type', 'item');
