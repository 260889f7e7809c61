/**
 * Settles as `work` does, unless one of the signals aborts first: then it rejects with that signal's reason, and what
 * becomes of `work` is ignored. No listener is left on a signal.
 */
export async function untilAborted<T>(
  work: T | PromiseLike<T>,
  ...signals: readonly AbortSignal[]
): Promise<T> {
  const listeners = new Map<AbortSignal, () => void>();
  const aborted = new Promise<never>((_, reject) => {
    for (const signal of signals) {
      const giveUp = () => reject(signal.reason as Error);
      if (signal.aborted) giveUp();
      listeners.set(signal, giveUp);
      signal.addEventListener('abort', giveUp, { once: true });
    }
  });
  try {
    // The first of the two, so that what was aborted before is never taken for done.
    return await Promise.race([aborted, work]);
  } finally {
    for (const [signal, giveUp] of listeners) signal.removeEventListener('abort', giveUp);
  }
}
