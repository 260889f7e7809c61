import type { Clock } from '../../core/clock.js';

/** How long a measurement is, in milliseconds. */
const WINDOW_MS = 100;

/** How fast items have ended lately. */
export class RateOfItems {
  private startedMs: number;
  private items = 0;
  private lastPerMs = 0;

  constructor(private readonly clock: Clock) {
    this.startedMs = clock.now();
  }

  count(items: number): void {
    this.items += items;
  }

  get perMs(): number {
    const passedMs = this.clock.now() - this.startedMs;
    if (passedMs >= WINDOW_MS) {
      this.lastPerMs = this.items / passedMs;
      this.items = 0;
      this.startedMs += passedMs;
    }
    // What has just begun to run fast shall not wait for the window to end.
    return Math.max(this.lastPerMs, this.items / WINDOW_MS);
  }
}
