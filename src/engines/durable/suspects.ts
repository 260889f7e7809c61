import type { Lease } from './chunk-queue.js';

/**
 * Lets items that may have killed a process be worked on one at a time: so, when the process dies again, it is known of which
 * it died.
 */
export class SuspectGate {
  private readonly line: (() => void)[] = [];
  private isTaken = false;

  /** Resolves when it is the caller's turn, until it calls `leave`. */
  async enter(): Promise<void> {
    if (this.isTaken) await new Promise<void>((resolve) => this.line.push(resolve));
    this.isTaken = true;
  }

  leave(): void {
    const next = this.line.shift();
    this.isTaken = next !== undefined;
    next?.();
  }
}

/** How often the item of the chunk has been worked on alone when its process died, or did not answer. */
export function deathsOf({ noted, number }: Lease): number {
  const { deaths = 0, startedUnder } = noted ?? {};
  // Whatever else ended that lease wrote a note of its own; leases after it may have ended while the item stood in line.
  return deaths + (startedUnder !== undefined && startedUnder < number ? 1 : 0);
}
