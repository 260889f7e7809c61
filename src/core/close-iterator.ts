/** Tells a source that it will be read no more. One that fails at that has ended all the same. */
export async function closeIterator(iterator: Iterator<unknown> | AsyncIterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // Its items are accounted for without it.
  }
}
