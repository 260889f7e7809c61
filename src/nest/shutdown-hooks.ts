import type { INestApplicationContext } from '@nestjs/common';

/**
 * Switches off what `app.enableShutdownHooks()` does at these signals, now and when it is called later: it would close the
 * application while work still needs it.
 *
 * Nest does not tell whether it listens. But it listens to each signal once only, so that a listener which it does not add
 * was there before; and one that it has added and that was taken away is not added again.
 *
 * @returns the signals at which the hooks were enabled before, and stay so: whose listener is the one of this application
 *   can't be seen
 */
export function switchOffShutdownHooks(
  app: INestApplicationContext,
  signals: ReadonlySet<NodeJS.Signals>,
): NodeJS.Signals[] {
  const before = new Map([...signals].map((signal) => [signal, process.listenerCount(signal)]));
  app.enableShutdownHooks([...signals]);
  return [...before].flatMap(([signal, count]) => {
    const added = process.listeners(signal).slice(count);
    for (const listener of added) process.off(signal, listener);
    return added.length === 0 ? [signal] : [];
  });
}
