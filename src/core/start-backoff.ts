import type { Clock } from './clock.js';

/** Milliseconds before a worker is made again after the first failure; doubled at each further one. */
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;

/** When the next worker of a type may be started, after workers of it could not. */
export class StartBackoff {
  private failures = 0;
  private dueMs = 0;

  constructor(private readonly clock: Clock) {}

  get isDue(): boolean {
    return this.clock.now() >= this.dueMs;
  }

  succeeded(): void {
    this.failures = 0;
  }

  /** Workers that were started together and failed together count as one failure. @returns milliseconds until the next start */
  failed(): number {
    const nowMs = this.clock.now();
    if (nowMs >= this.dueMs) {
      this.dueMs = nowMs + Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.failures++);
    }
    return this.dueMs - nowMs;
  }
}
