import { constants } from 'node:os';
import { setImmediate } from 'node:timers/promises';

/** How long the process may still live where others listen to the signal: for what they do about it. */
const MOMENT_MS = 100;

/**
 * How long the same signal again is taken for the same one: a terminal sends it to a whole group of processes, and npm, which
 * is one of them, passes it on.
 */
const SAME_PRESS_MS = 500;

/** Listens for what ends the process at once. */
export interface NextSignals {
  /** Leaves those to the system that end the process by themselves. */
  leaveToSystem(): void;
  /** Listens no more. */
  stop(): void;
}

/**
 * Has the next of the signals end the process at once; the one that came already, when it comes again after a while. To be
 * called while the signals are still listened to: one that comes in this moment is on its way to its listeners, and lost if
 * there is none when it arrives. So `leaveToSystem` is to be called a turn later.
 *
 * A signal that nobody listens to ends the process by itself, even while that is too busy to listen. It does not where
 * somebody else listens, nor to the first process of a container, which the kernel spares.
 *
 * @param came the signal that came already
 */
export function exitAtNext(signals: readonly NodeJS.Signals[], came: NodeJS.Signals): NextSignals {
  const others = signals.filter((signal) => signal !== came);
  for (const signal of others) process.on(signal, exitBy);
  process.on(came, ignoreIt);
  const timer = setTimeout(() => {
    process.on(came, exitBy);
    process.off(came, ignoreIt);
    leaveToSystem([came]);
  }, SAME_PRESS_MS).unref();
  return {
    leaveToSystem: () => leaveToSystem(others),
    stop: () => {
      clearTimeout(timer);
      process.off(came, ignoreIt);
      for (const signal of signals) process.off(signal, exitBy);
    },
  };
}

function leaveToSystem(signals: readonly NodeJS.Signals[]): void {
  for (const signal of signals) if (!isSpared(signal)) process.off(signal, exitBy);
}

/** Resolves when the event loop has come round, and what had come by now has arrived. */
export async function turnOver(): Promise<void> {
  await setImmediate();
  await setImmediate();
}

/** Leaves others that listen to the signal a moment: they have heard it when it came. At once over where there are none. */
export async function leaveMoment(signal: NodeJS.Signals): Promise<void> {
  const others = process.listeners(signal).filter((listener) => listener !== ignoreIt && listener !== exitBy);
  if (others.length > 0) await new Promise((resolve) => setTimeout(resolve, MOMENT_MS));
}

/**
 * Ends the process by the signal, so that its parent sees the cause; where that is not to be had, by the exit code for it.
 *
 * A signal by itself does not tell who listens to the `exit` of the process, and a log that is written a moment later, as
 * pino's is, or by another thread, would lose its last lines. So the process exits, and the signal comes when all of those
 * have been told.
 */
export function endBy(signal: NodeJS.Signals): void {
  // Where others listen, it would not end the process.
  if (process.listenerCount(signal) === 0) process.once('exit', () => process.kill(process.pid, signal));
  exitBy(signal);
}

/** Whether it would not end the process without our listener: there are others, or the kernel does not. */
function isSpared(signal: NodeJS.Signals): boolean {
  return process.pid === 1 || process.listenerCount(signal) > 1;
}

function ignoreIt(): void {
  // The first one is heeded.
}

function exitBy(signal: NodeJS.Signals): void {
  process.exit(128 + constants.signals[signal]);
}
