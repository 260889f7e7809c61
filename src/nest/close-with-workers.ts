import type { INestApplicationContext } from '@nestjs/common';
import { JobProcess } from '../job-process.js';
import { WorkerLifecycle } from './worker-lifecycle.js';

/**
 * Takes the place of `app.enableShutdownHooks()`: on a signal, the work is finished first and the application is closed
 * then, so that it still has every connection it needs: those included that providers close in `onModuleDestroy`, and
 * the transport of a microservice, whose own `close` ends it first.
 * A second signal ends the process at once.
 *
 * @param signals default SIGTERM and SIGINT
 */
export function closeWithWorkers(
  app: INestApplicationContext,
  { signals = ['SIGTERM', 'SIGINT'] }: { readonly signals?: readonly NodeJS.Signals[] } = {},
): void {
  const jobs = app.get(JobProcess);
  const close = (signal: NodeJS.Signals) => {
    stopListening();
    void endBySignal(app, jobs, signal);
  };
  const stopListening = () => {
    for (const signal of signals) process.off(signal, close);
  };
  for (const signal of signals) process.on(signal, close);
  app.get(WorkerLifecycle).onceClosed(stopListening);
}

async function endBySignal(
  app: INestApplicationContext,
  jobs: JobProcess,
  signal: NodeJS.Signals,
): Promise<void> {
  try {
    await jobs.shutdown();
    await app.close();
  } catch (error) {
    console.error('The application could not be closed in order:', error);
    process.exitCode = 1;
  }
  // Nobody listens to it any more: it ends the process, and tells the parent why, as if it had not been caught.
  process.kill(process.pid, signal);
}
