import { constants } from 'node:os';

/** How long a process that signalled itself may still live: for what else listens to the signal. */
const MOMENT_MS = 100;

/**
 * How long the same signal again is taken for the same one: a terminal sends it to a whole group of processes, and npm, which
 * is one of them, passes it on.
 */
const SAME_PRESS_MS = 500;

/**
 * Has the next of the signals end the process at once; the one that came already, when it comes again after a while.
 *
 * A signal that nobody listens to does so by itself, even while the process is too busy to listen. It does not where
 * somebody else listens, nor to the first process of a container, which the kernel spares: there it is listened to.
 *
 * @param came the signal that came already
 * @returns a function that ends this
 */
export function exitAtNext(signals: readonly NodeJS.Signals[], came: NodeJS.Signals): () => void {
  const listened = signals.filter((signal) => signal !== came && isSpared(signal));
  for (const signal of listened) process.on(signal, exitBy);
  process.on(came, ignoreIt);
  const timer = setTimeout(() => {
    process.off(came, ignoreIt);
    if (!isSpared(came)) return;
    listened.push(came);
    process.on(came, exitBy);
  }, SAME_PRESS_MS).unref();
  return () => {
    clearTimeout(timer);
    process.off(came, ignoreIt);
    for (const signal of listened) process.off(signal, exitBy);
  };
}

/** Ends the process by the signal, so that its parent sees the cause; where that is not to be had, by the exit code for it. */
export function endBy(signal: NodeJS.Signals): void {
  process.kill(process.pid, signal);
  setTimeout(exitBy, MOMENT_MS, signal);
}

function isSpared(signal: NodeJS.Signals): boolean {
  return process.pid === 1 || process.listenerCount(signal) > 0;
}

function ignoreIt(): void {
  // The first one is heeded.
}

function exitBy(signal: NodeJS.Signals): void {
  process.exit(128 + constants.signals[signal]);
}
