/** A pending call that can be taken back. */
export interface Timer {
  /** Takes the call back; a call that has been made already is left alone. */
  cancel(): void;
  /** Whether the timer alone keeps the Node process alive. A new timer does. */
  keepAlive(keep: boolean): void;
}

/**
 * The only source of time in the core. Tests hand in one that they can turn.
 */
export interface Clock {
  /** Milliseconds since an arbitrary moment; never goes back. For durations and due times. */
  now(): number;
  /** Milliseconds since the Unix epoch; may jump. For what people read. */
  wallNow(): number;
  /** Calls `callback` once, `delayMs` milliseconds from now. */
  setTimer(callback: () => void, delayMs: number): Timer;
  /** Calls `callback` once, after pending I/O and timers had their turn. */
  afterInput(callback: () => void): void;
}

/** Longest delay of a Node timer; a longer one fires at once. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

/** The clock of the machine. */
export const systemClock: Clock = Object.freeze({
  now: () => performance.now(),
  wallNow: () => Date.now(),
  setTimer: (callback: () => void, delayMs: number) => {
    const timeout = setTimeout(callback, Math.min(delayMs, LONGEST_DELAY_MS));
    return {
      cancel: () => clearTimeout(timeout),
      keepAlive: (keep: boolean) => void (keep ? timeout.ref() : timeout.unref()),
    };
  },
  afterInput: (callback: () => void) => void setImmediate(callback),
});
