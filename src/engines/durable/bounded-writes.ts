/** Lets a few writes be under way at a time: the store is never waited for with nothing to answer, nor given more than it can take. */
export class BoundedWrites {
  private readonly underWay = new Set<Promise<void>>();
  private failure: { readonly error: unknown } | undefined = undefined;

  constructor(private readonly most: number) {}

  /** Begins a write once there is room for it. @throws what a write before it was rejected with */
  async begin(write: () => Promise<void>): Promise<void> {
    while (this.underWay.size >= this.most) await Promise.race(this.underWay);
    this.refuseAfterFailure();
    const done: Promise<void> = write().then(
      () => void this.underWay.delete(done),
      (error: unknown) => {
        this.failure ??= { error };
        this.underWay.delete(done);
      },
    );
    this.underWay.add(done);
  }

  /** Resolves when all have ended. @throws what one of them was rejected with */
  async end(): Promise<void> {
    await Promise.all(this.underWay);
    this.refuseAfterFailure();
  }

  private refuseAfterFailure(): void {
    if (this.failure !== undefined) throw this.failure.error;
  }
}
