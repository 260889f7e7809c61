import type { Clock, Timer } from './clock.js';
import type { Runner } from './runner.js';

/** Looks at each runner at least so many times within the time limit. */
const LOOKS = 8;
const LONGEST_INTERVAL_MS = 1_000;

/**
 * Finds the runners whose attempt passes the time limit. One timer looks at all of them, as a timer or a race for each
 * item would cost more than the item. An attempt is never ended early, and at the latest two looks after its limit.
 */
export class TimeLimitWatch {
  private timer: Timer | undefined = undefined;
  private readonly intervalMs: number;
  private lookedAtMs = 0;

  /**
   * @param timeoutMs 0 for no limit
   * @param runners those to look at
   * @param expire called for each runner that is past its limit
   * @param mayHold whether a runner that holds nothing now may hold something soon, without `start` being called
   */
  constructor(
    private readonly timeoutMs: number,
    private readonly runners: Iterable<Runner>,
    private readonly expire: (runner: Runner) => void,
    private readonly mayHold: () => boolean,
    private readonly clock: Clock,
  ) {
    // In whole milliseconds, as timers are, and so that few looks make up the limit: each one more is late.
    const looks = Math.max(LOOKS, Math.ceil(timeoutMs / LONGEST_INTERVAL_MS));
    this.intervalMs = Math.max(1, Math.ceil(timeoutMs / looks));
  }

  /** Looks from now on, until no runner holds anything or may soon. */
  start(): void {
    if (this.timeoutMs === 0 || this.timer !== undefined) return;
    this.lookedAtMs = this.clock.now();
    this.arm();
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private arm(): void {
    this.timer = this.clock.setTimer(() => this.look(), this.intervalMs);
  }

  private look(): void {
    this.timer = undefined;
    const nowMs = this.clock.now();
    // When the event loop was blocked, no handler could settle: that time is not theirs.
    const elapsedMs = Math.min(nowMs - this.lookedAtMs, 2 * this.intervalMs);
    this.lookedAtMs = nowMs;
    for (const runner of this.runners) {
      if (!runner.holding) continue;
      const { watched } = runner;
      if (watched.sequence !== runner.sequence) {
        watched.sequence = runner.sequence;
        watched.forMs = 0;
      } else {
        watched.forMs += elapsedMs;
        if (watched.forMs >= this.timeoutMs) this.expire(runner);
      }
    }
    if (this.mayHold()) this.arm();
  }
}
