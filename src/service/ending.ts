import type { Server } from 'node:http';
import { JobProcess, type Upload } from '../index.js';
import { countedText, countText, durationText } from './display/number-text.js';
import type { RunningService } from './service.js';
import { SHUTDOWN_TIMEOUT_MS } from './service.module.js';
import { InterruptedUploads } from './uploads/interrupted-uploads.js';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

interface Telling {
  readonly tell: (line: string) => void;
  /** Whether the database outlives the service. */
  readonly keepsDatabase: boolean;
}

/**
 * Tells what a signal does, at once and when that is done, to a person who would else see nothing for a while.
 * The doing is `closeWithWorkers`'.
 */
export function tellOfEnding({ app }: Pick<RunningService, 'app'>, { tell, keepsDatabase }: Telling): void {
  const server: Server = app.getHttpServer();
  const jobs = app.get(JobProcess);
  const interrupted = app.get(InterruptedUploads);
  const onSignal = (signal: NodeJS.Signals) => {
    stopListening();
    const startMs = performance.now();
    const limit = `at most ${SHUTDOWN_TIMEOUT_MS / 1_000} s`;
    // On a line of its own: a terminal has written ^C into the one before.
    tell(`\n${signal}: finishing the work under way (${limit}); a second signal ends at once.`);
    // The work has ended by then, and the answers have been sent.
    server.once('close', () => {
      tell(endText(performance.now() - startMs, jobs.counts().handedBack));
      for (const upload of interrupted.uploads) tell(leftText(upload, keepsDatabase));
    });
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

function leftText({ id, rows, done, failed }: Upload, keepsDatabase: boolean): string {
  const left = `${countText(rows - done - failed)} of ${countedText(rows, 'row')} of the upload ${id} were not worked on`;
  return keepsDatabase
    ? `${left}; the next service goes on with them at POST /uploads/${id}/process.`
    : `${left}, and went with the service's own Postgres; one that DATABASE_URL names would keep them.`;
}
