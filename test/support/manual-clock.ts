import type { Clock, Timer } from '../../src/core/clock.js';

interface Pending {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A clock that stands still until it is turned. Timers fire in the order of their times, each at its own time. */
export class ManualClock implements Clock {
  private nowMs = 0;
  private order = 0;
  private readonly pending = new Set<Pending>();

  /** @param startMs what `wallNow` starts from; `now` starts from 0 */
  constructor(private readonly startMs = Date.UTC(2026, 0, 1)) {}

  now(): number {
    return this.nowMs;
  }

  wallNow(): number {
    return this.startMs + this.nowMs;
  }

  /** Timers that have not fired. */
  get timers(): number {
    return this.pending.size;
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    const timer = { dueMs: this.nowMs + delayMs, order: this.order++, callback };
    this.pending.add(timer);
    return { cancel: () => void this.pending.delete(timer), keepAlive: () => undefined };
  }

  afterInput(callback: () => void): void {
    setImmediate(callback);
  }

  /** Turns the clock by `durationMs`, and lets everything that this sets off settle, timer by timer. */
  async turn(durationMs: number): Promise<void> {
    const endMs = this.nowMs + durationMs;
    await settle();
    for (let next = this.next(endMs); next !== undefined; next = this.next(endMs)) {
      this.pending.delete(next);
      this.nowMs = next.dueMs;
      next.callback();
      await settle();
    }
    this.nowMs = endMs;
    await settle();
  }

  private next(endMs: number): Pending | undefined {
    let first: Pending | undefined;
    for (const timer of this.pending) {
      if (timer.dueMs > endMs) continue;
      if (
        first === undefined ||
        timer.dueMs < first.dueMs ||
        (timer.dueMs === first.dueMs && timer.order < first.order)
      ) {
        first = timer;
      }
    }
    return first;
  }
}

/** Lets promise callbacks run until none is left, those of a few further turns of the event loop included. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
