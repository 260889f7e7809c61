import type { Server } from 'node:http';
import { JobProcess } from '../index.js';
import { countedText, durationText } from './display/number-text.js';
import type { RunningService } from './service.js';
import { SHUTDOWN_TIMEOUT_MS } from './service.module.js';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Tells what a signal does, at once and when that is done, to a person who would else see nothing for a while.
 * The doing is `closeWithWorkers`'.
 */
export function tellOfEnding({ app }: Pick<RunningService, 'app'>, tell: (line: string) => void): void {
  const server: Server = app.getHttpServer();
  const jobs = app.get(JobProcess);
  const onSignal = (signal: NodeJS.Signals) => {
    stopListening();
    const startMs = performance.now();
    const limit = `at most ${SHUTDOWN_TIMEOUT_MS / 1_000} s`;
    // On a line of its own: a terminal has written ^C into the one before.
    tell(`\n${signal}: finishing the work under way (${limit}); a second signal ends at once.`);
    // The work has ended by then, and the answers have been sent.
    server.once('close', () => tell(endText(performance.now() - startMs, jobs.counts().handedBack)));
  };
  const stopListening = () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
  // Before the listener that ends the service, so that none but it is left: a second signal ends what has no listener.
  for (const signal of SIGNALS) process.prependListener(signal, onSignal);
  server.once('close', stopListening);
}

function endText(durationMs: number, unfinished: number): string {
  const rest = unfinished === 0 ? '' : `; ${countedText(unfinished, 'item')} could not be finished`;
  return `Ended after ${durationText(durationMs)}${rest}.`;
}
