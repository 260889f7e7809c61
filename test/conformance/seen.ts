/** Keeps what comes, and tells when enough of it has. */
export class Seen<T> {
  readonly all: T[] = [];
  private readonly waiting = new Set<() => void>();

  readonly add = (value: T): void => {
    this.all.push(value);
    for (const look of this.waiting) look();
  };

  /** Resolves with all of it when at least `count` have come. */
  reach(count: number): Promise<readonly T[]> {
    return this.until((all) => all.length >= count);
  }

  until(isEnough: (all: readonly T[]) => boolean): Promise<readonly T[]> {
    return new Promise((resolve) => {
      const look = () => {
        if (!isEnough(this.all)) return;
        this.waiting.delete(look);
        resolve(this.all);
      };
      this.waiting.add(look);
      look();
    });
  }
}
