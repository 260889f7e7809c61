import type { INestApplicationContext } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { constants } from 'node:os';
import { InvalidOptionsError } from '../core/errors.js';
import { findProblems, refuseProblems, type Rules } from '../core/option-rules.js';
import { isListenedTo, onceClosed } from './closed-listener.js';
import { endAtSignals } from './process-end.js';
import { switchOffShutdownHooks } from './shutdown-hooks.js';
import { WorkerLifecycle } from './worker-lifecycle.js';

const SUBJECT = 'closeWithWorkers()';

export interface ClosingOptions {
  /**
   * The signals that the application ends at, and with it the process. Default SIGTERM and SIGINT. Not SIGKILL and SIGSTOP,
   * which nobody can listen to.
   */
  readonly signals?: readonly NodeJS.Signals[];
}

/** These end or stop a process whatever it would have done about it. */
const UNHEARD: readonly unknown[] = ['SIGKILL', 'SIGSTOP'];

const rules: Rules<ClosingOptions> = {
  signals: (value) => {
    const isListOfSignals =
      Array.isArray(value) &&
      value.length > 0 &&
      value.every((name) => Object.hasOwn(constants.signals, name));
    if (!isListOfSignals) return 'expected an array of signals, such as ["SIGTERM"]';
    const unheard = UNHEARD.filter((signal) => value.includes(signal));
    return unheard.length === 0
      ? undefined
      : `expected signals that a process can listen to (not ${unheard.join(', ')})`;
  },
};

/**
 * Takes the place of `app.enableShutdownHooks()`: on a signal, the work is finished first and the application is closed
 * then, so that it still has every connection it needs: those included that providers close in `onModuleDestroy`, and
 * the transport of a microservice, whose own `close` ends it first.
 * A second signal ends the process at once; the same one within half a second is taken for the first, as npm passes on
 * what the terminal sends to it and to its programs.
 *
 * The process ends by the signal, after its listeners to `exit` have been told. As the first one of a container, which no
 * signal ends, and where others listen to the signal as well, it exits with 128 + the signal's number. When an application
 * could not be closed in order, it exits with 1.
 *
 * Give it every application of the process, those without WorkerModule as well: a signal of one of them ends them all, and
 * the last one to finish ends the process. One with `enableShutdownHooks()` in place of this sends the signal to the process
 * again when it has closed, and that ends the process at once, as a second signal does. Hooks of an application that was given
 * to this have no effect at its signals, when they are enabled after it.
 * Give it an application before it is closed: Nest does not tell whether it was, and would close it again at the signal.
 *
 * @throws InvalidOptionsError that names every wrong option; when the application has shutdown hooks at one of the signals, or
 *   was given before
 */
export function closeWithWorkers(app: INestApplicationContext, options: ClosingOptions = {}): void {
  refuseProblems(SUBJECT, findProblems(options, rules));
  if (isListenedTo(app)) {
    throw new InvalidOptionsError(SUBJECT, ['expected an application once, got the same one again']);
  }
  const signals = new Set<NodeJS.Signals>(options.signals ?? ['SIGTERM', 'SIGINT']);
  const lifecycle = findLifecycle(app);
  const end = async () => {
    await lifecycle?.finishWork();
    await app.close();
  };
  // Before Nest's listeners are taken away: a signal that comes at that moment would be lost where nobody listened.
  const stopListening = endAtSignals({ signals: [...signals], end });
  const hooked = switchOffShutdownHooks(app, signals);
  if (hooked.length > 0) {
    stopListening();
    throw new InvalidOptionsError(SUBJECT, [
      `expected an application without shutdown hooks, got one that has them at ${hooked.join(' and ')}; remove ` +
        'app.enableShutdownHooks(), as they would close it while work still needs it',
    ]);
  }
  onceClosed(app, stopListening);
}

/** By way of the modules: Nest takes it for a failed start, and ends the process, when it is asked for what is not there. */
function findLifecycle(app: INestApplicationContext): WorkerLifecycle | undefined {
  return [...app.get(ModulesContainer, { strict: false }).values()]
    .map(({ providers }) => providers.get(WorkerLifecycle)?.instance as WorkerLifecycle | undefined)
    .find((lifecycle) => lifecycle !== undefined);
}
