import type { Clock, Timer } from './clock.js';

/** How many attempts of a worker type may start in a time. */
export interface RateLimit {
  /** Attempts, 1 or more. */
  readonly max: number;
  /** In so many milliseconds, more than 0. */
  readonly durationMs: number;
}

/** The part of `max` that may start at once after a rest: in no `durationMs` do more than a tenth too many. */
const BURST_SHARE = 0.1;

/**
 * Spreads the attempts of a worker type over time: a token bucket, filled evenly. Its size is a tenth of `max`, or what a batch
 * needs.
 */
export class RateLimiter {
  /** Attempts that may start at once, at the most. */
  readonly burst: number;
  /** Whether an attempt waits for tokens. A field, as it is read for each wake. */
  isExhausted = false;
  private readonly tokensPerMs: number;
  private tokens: number;
  private filledAtMs: number;
  private timer: Timer | undefined = undefined;

  /**
   * @param batchSize attempts that start together; 1 where each starts alone
   * @param onRefill called when there are as many tokens again as were asked for in vain
   */
  constructor(
    { max, durationMs }: RateLimit,
    batchSize: number,
    private readonly clock: Clock,
    private readonly onRefill: () => void,
  ) {
    this.burst = Math.min(max, Math.max(1, Math.floor(max * BURST_SHARE), batchSize));
    this.tokensPerMs = max / durationMs;
    this.tokens = this.burst;
    this.filledAtMs = clock.now();
  }

  /** Attempts that may start now. */
  get available(): number {
    this.fill();
    return Math.floor(this.tokens);
  }

  /** @param attempts at most `burst` @returns whether they may start now; if not, `onRefill` is called when they may */
  take(attempts: number): boolean {
    if (this.isExhausted) return false;
    this.fill();
    if (this.tokens >= attempts) {
      this.tokens -= attempts;
      return true;
    }
    this.isExhausted = true;
    this.wait(attempts);
    return false;
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private wait(attempts: number): void {
    const waitMs = Math.ceil((attempts - this.tokens) / this.tokensPerMs);
    this.timer = this.clock.setTimer(() => {
      this.fill();
      // A timer may fire a little early.
      if (this.tokens < attempts) return this.wait(attempts);
      this.timer = undefined;
      this.isExhausted = false;
      this.onRefill();
    }, waitMs);
  }

  private fill(): void {
    const nowMs = this.clock.now();
    this.tokens = Math.min(this.burst, this.tokens + (nowMs - this.filledAtMs) * this.tokensPerMs);
    this.filledAtMs = nowMs;
  }
}
