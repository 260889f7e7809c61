import type { INestApplicationContext } from '@nestjs/common';
import { constants } from 'node:os';
import { findProblems, refuseProblems, type Rules } from '../core/option-rules.js';
import { endProcessAfter } from './process-end.js';
import { WorkerLifecycle } from './worker-lifecycle.js';

export interface ClosingOptions {
  /** The signals that the application ends at. Default SIGTERM and SIGINT. */
  readonly signals?: readonly NodeJS.Signals[];
}

const rules: Rules<ClosingOptions> = {
  signals: (value) =>
    Array.isArray(value) && value.length > 0 && value.every((name) => Object.hasOwn(constants.signals, name))
      ? undefined
      : 'expected an array of signals, such as ["SIGTERM"]',
};

/**
 * Takes the place of `app.enableShutdownHooks()`: on a signal, the work is finished first and the application is closed
 * then, so that it still has every connection it needs: those included that providers close in `onModuleDestroy`, and
 * the transport of a microservice, whose own `close` ends it first.
 * A second signal ends the process at once; the same one within half a second is taken for the first, as npm passes on
 * what the terminal sends to it and to its programs.
 *
 * The process ends by the signal, after its listeners to `exit` have been told. As the first one of a container, which no signal ends, and where others listen to the
 * signal as well, it exits with 128 + the signal's number. When the application could not be closed in order, it exits with 1.
 * Of several applications in one process that end at the same signal, the last one to finish ends the process.
 *
 * @throws InvalidOptionsError that names every wrong option; Error when the application has no WorkerModule
 */
export function closeWithWorkers(app: INestApplicationContext, options: ClosingOptions = {}): void {
  refuseProblems('closeWithWorkers()', findProblems(options, rules));
  const { signals = ['SIGTERM', 'SIGINT'] } = options;
  const lifecycle = lifecycleOf(app);
  const close = (signal: NodeJS.Signals) => {
    void endProcessAfter(() => closeInOrder(app, lifecycle), signals, signal);
    stopListening();
  };
  const stopListening = () => {
    for (const signal of signals) process.off(signal, close);
  };
  for (const signal of signals) process.on(signal, close);
  lifecycle.onceClosed(stopListening);
}

function lifecycleOf(app: INestApplicationContext): WorkerLifecycle {
  try {
    return app.get(WorkerLifecycle);
  } catch (error) {
    throw new Error(
      'closeWithWorkers(): expected an application with WorkerModule; add WorkerModule.forRoot() to the imports of its root module',
      { cause: error },
    );
  }
}

async function closeInOrder(app: INestApplicationContext, lifecycle: WorkerLifecycle): Promise<void> {
  await lifecycle.finishWork();
  await app.close();
}
