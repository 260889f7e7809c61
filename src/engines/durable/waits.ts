import type { Clock } from '../../core/clock.js';

/** Waits that can be ended before their time. */
export class Waits {
  private readonly wakes = new Set<() => void>();

  constructor(private readonly clock: Clock) {}

  /** Resolves after `waitMs`, or at `endAll`. */
  wait(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.wakes.delete(end);
        resolve();
      };
      const timer = this.clock.setTimer(end, waitMs);
      this.wakes.add(end);
    });
  }

  /** @returns how many there were */
  endAll(): number {
    const wakes = [...this.wakes];
    for (const end of wakes) end();
    return wakes.length;
  }
}
