import type { Clock } from './clock.js';
import { promiseWithResolve, type PromiseWithResolve } from './promise-with-resolve.js';

/** How long work may go on before the event loop gets a turn, in milliseconds. */
const SLICE_MS = 5;

/**
 * Items between two looks at the clock, at the most: a look costs as much as a small item. Few enough that items
 * which become slow all at once are noticed soon.
 */
const MOST_ITEMS_UNCHECKED = 16;

const ALREADY = Promise.resolve();

/**
 * Lets timers and I/O have their turn while a million handlers settle without ever waiting for either. All loops of
 * a process share the slices: when one is over, each loop pauses at its next item until the event loop came round.
 */
export class TimeSlices {
  /** Number of the running slice. */
  current = 0;
  private startedAtMs = 0;
  private checkedAtMs = 0;
  private unchecked = 0;
  private checkEvery = 1;
  private pauseEnd: PromiseWithResolve<void> | undefined = undefined;
  private isRenewing = false;

  constructor(private readonly clock: Clock) {}

  /** Counts `items`; true when the caller has to await `pause()`. */
  spend(items: number): boolean {
    this.unchecked += items;
    if (this.pauseEnd !== undefined) return true;
    return this.unchecked >= this.checkEvery && this.check();
  }

  /**
   * A loop waits for items since `nowMs`. What is left of the event loop's turn is its own then, so the slice begins anew
   * after it; else items that come one by one would use it up with the time between them, and some of them would wait for a
   * pause that nobody needs. Not at each wait, as that would cost more than an item.
   */
  idle(nowMs: number): void {
    if (this.isRenewing || this.pauseEnd !== undefined || nowMs - this.startedAtMs < SLICE_MS / 2) return;
    this.isRenewing = true;
    this.clock.afterInput(() => {
      this.isRenewing = false;
      if (this.pauseEnd === undefined) this.begin();
    });
  }

  /** Resolves when the caller may go on. */
  pause(): Promise<void> {
    return this.pauseEnd?.promise ?? ALREADY;
  }

  private check(): boolean {
    const nowMs = this.clock.now();
    const perItemMs = (nowMs - this.checkedAtMs) / this.unchecked;
    this.checkEvery = Math.max(1, Math.min(MOST_ITEMS_UNCHECKED, Math.floor(1 / perItemMs)));
    this.unchecked = 0;
    this.checkedAtMs = nowMs;
    if (nowMs - this.startedAtMs < SLICE_MS) return false;
    this.endSlice();
    return true;
  }

  private endSlice(): void {
    const { promise, resolve } = promiseWithResolve<void>();
    this.pauseEnd = { promise, resolve };
    this.clock.afterInput(() => {
      this.begin();
      this.pauseEnd = undefined;
      resolve();
    });
  }

  private begin(): void {
    this.current++;
    this.startedAtMs = this.checkedAtMs = this.clock.now();
    this.unchecked = 0;
  }
}
