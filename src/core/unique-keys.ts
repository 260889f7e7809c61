import type { Clock } from './clock.js';

/** Keys that are looked through for those whose time is over, at the least. */
const FEW = 1_024;

/** The keys of a worker type's items that may not come twice: each is held until it is released, or its time is over. */
export class UniqueKeys {
  /** Until when, in milliseconds of the clock. */
  private readonly heldUntilMs = new Map<string, number>();
  private sweepAt = FEW;

  constructor(private readonly clock: Clock) {}

  /** Keys that are held, and some whose time is over. */
  get size(): number {
    return this.heldUntilMs.size;
  }

  /**
   * Holds `key`, unless it is held already.
   *
   * @param forMs milliseconds; Infinity: until it is released
   * @returns whether it was free
   */
  hold(key: string, forMs: number): boolean {
    if (this.isHeld(key)) return false;
    this.heldUntilMs.set(key, this.clock.now() + forMs);
    if (this.heldUntilMs.size >= this.sweepAt) this.sweep();
    return true;
  }

  isHeld(key: string): boolean {
    const untilMs = this.heldUntilMs.get(key);
    return untilMs !== undefined && untilMs > this.clock.now();
  }

  /** Lets go of a key that is held until it is released. */
  release(key: string): void {
    if (this.heldUntilMs.get(key) === Infinity) this.heldUntilMs.delete(key);
  }

  /** Amortised: the next one comes when as many have been added again as were left. */
  private sweep(): void {
    const nowMs = this.clock.now();
    for (const [key, untilMs] of this.heldUntilMs) if (untilMs <= nowMs) this.heldUntilMs.delete(key);
    this.sweepAt = Math.max(FEW, 2 * this.heldUntilMs.size);
  }
}
