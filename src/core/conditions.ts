/** Promises of states that are reached some time. Who changes the state says when to look. */
export class Conditions {
  /** Whether anybody waits. A field, as it is read for each item. */
  any = false;
  private readonly waiting = new Set<{ isReached: () => boolean; resolve: () => void }>();

  /** Resolves when `isReached` is true at a look. */
  when(isReached: () => boolean): Promise<void> {
    if (isReached()) return Promise.resolve();
    this.any = true;
    return new Promise((resolve) => this.waiting.add({ isReached, resolve }));
  }

  /** Looks whether what is waited for has been reached. */
  look(): void {
    for (const waiter of this.waiting) {
      if (!waiter.isReached()) continue;
      this.waiting.delete(waiter);
      waiter.resolve();
    }
    this.any = this.waiting.size > 0;
  }
}
