/**
 * Lets one write be under way while the next one is prepared. Not more of them: who stores must not outrun who works, as a
 * queue that grows costs its store far more than one that stays short.
 */
export class WriteBehind {
  private underWay: Promise<void> = Promise.resolve();
  private failure: { readonly error: unknown } | undefined = undefined;

  /** Begins a write when the one before has ended. @throws what that one was rejected with */
  async begin(write: () => Promise<void>): Promise<void> {
    await this.end();
    this.underWay = write().catch((error: unknown) => {
      this.failure = { error };
    });
  }

  /** Resolves when the last one has ended. @throws what it was rejected with */
  async end(): Promise<void> {
    await this.underWay;
    if (this.failure !== undefined) throw this.failure.error;
  }
}
