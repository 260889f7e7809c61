import type { Clock, Timer } from './clock.js';

/** How many attempts of a worker type may start in a time. */
export interface RateLimit {
  /** Attempts, 1 or more. */
  readonly max: number;
  /** In so many milliseconds, 1 or more. */
  readonly durationMs: number;
}

/**
 * Attempts that may start at once after a rest, in one batch or several: a tenth of `max`. So in no `durationMs` do more than
 * `max` and a tenth of it start; where `max` is less than 10, `max` and one.
 */
export function burstOf({ max }: Pick<RateLimit, 'max'>): number {
  return Math.max(1, Math.floor(max / 10));
}

/** Spreads the attempts of a worker type over time: a token bucket, filled evenly. */
export class RateLimiter {
  /** Attempts that may start at once, at the most. */
  readonly burst: number;
  /** Whether an attempt waits for tokens. A field, as it is read for each wake. */
  isExhausted = false;
  private readonly tokensPerMs: number;
  private tokens: number;
  private filledAtMs: number;
  private timer: Timer | undefined = undefined;
  /** When the timer is due, in milliseconds of the clock. */
  private timerDueMs = 0;

  /** @param onRefill called when there are as many tokens again as were asked for in vain */
  constructor(
    { max, durationMs }: RateLimit,
    private readonly clock: Clock,
    private readonly onRefill: () => void,
  ) {
    this.burst = burstOf({ max });
    this.tokensPerMs = max / durationMs;
    this.tokens = this.burst;
    this.filledAtMs = clock.now();
  }

  /** Attempts that may start now. */
  get available(): number {
    this.fill();
    return Math.floor(this.tokens);
  }

  /** When the next attempt may start, in milliseconds of the clock. */
  get nextMs(): number {
    if (this.isExhausted) return this.timerDueMs;
    this.fill();
    return this.filledAtMs + Math.max(0, 1 - this.tokens) / this.tokensPerMs;
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

  /** Nothing waits for tokens any more. A timer alone would keep the process alive for nothing. */
  rest(): void {
    this.stop();
    this.isExhausted = false;
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private wait(attempts: number): void {
    const waitMs = Math.ceil((attempts - this.tokens) / this.tokensPerMs);
    this.timerDueMs = this.clock.now() + waitMs;
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
