/** Promises of states that are reached some time. Who changes the state says when to look. */
export class Conditions {
  private readonly waiting = new Set<{ isReached: () => boolean; resolve: () => void }>();

  /** Whether anybody waits. */
  get any(): boolean {
    return this.waiting.size > 0;
  }

  /** Resolves when `isReached` is true at a look. */
  when(isReached: () => boolean): Promise<void> {
    if (isReached()) return Promise.resolve();
    return new Promise((resolve) => this.waiting.add({ isReached, resolve }));
  }

  /** Looks whether what is waited for has been reached. */
  look(): void {
    for (const waiter of this.waiting) {
      if (!waiter.isReached()) continue;
      this.waiting.delete(waiter);
      waiter.resolve();
    }
  }
}
