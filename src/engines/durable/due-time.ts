/** Items that are due within so many milliseconds travel together. */
const DUE_STEP_MS = 100;

/** The moment of a chunk whose items are not to run before `atMs`, in milliseconds since the Unix epoch; 0: at once. */
export function dueAt(atMs: number): number {
  return Math.ceil(atMs / DUE_STEP_MS) * DUE_STEP_MS;
}
