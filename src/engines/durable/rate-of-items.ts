import type { Clock } from '../../core/clock.js';

/** How much working time a measurement is of, in milliseconds. */
const WINDOW_MS = 20;

/**
 * How fast items end while there are some. Time in which the process has none counts for nothing: it would look slow, be given
 * little, and have none again.
 */
export class RateOfItems {
  /** When the first of the items came that are there now; undefined while there are none. */
  private busySinceMs: number | undefined = undefined;
  private busyMs = 0;
  private items = 0;
  private lastPerMs = 0;

  constructor(private readonly clock: Pick<Clock, 'now'>) {}

  /** @param held items that are there now */
  hold(held: number): void {
    if (held > 0) {
      this.busySinceMs ??= this.clock.now();
    } else {
      this.measure();
      this.busySinceMs = undefined;
    }
  }

  /** Items have ended. */
  count(items: number): void {
    this.items += items;
  }

  get perMs(): number {
    this.measure();
    // What has just begun to run fast shall not wait for the window to end.
    return Math.max(this.lastPerMs, this.items / WINDOW_MS);
  }

  private measure(): void {
    if (this.busySinceMs === undefined) return;
    const nowMs = this.clock.now();
    this.busyMs += nowMs - this.busySinceMs;
    this.busySinceMs = nowMs;
    if (this.busyMs < WINDOW_MS) return;
    this.lastPerMs = this.items / this.busyMs;
    this.items = 0;
    this.busyMs = 0;
  }
}
