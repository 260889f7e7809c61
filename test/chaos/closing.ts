/** What has been opened, to be closed in the opposite order whatever happens. */
export class Closing {
  private readonly steps: (() => unknown)[] = [];

  add(close: () => unknown): void {
    this.steps.push(close);
  }

  /** Closes all, also when one of them fails. @throws AggregateError of what failed */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (const close of this.steps.splice(0).toReversed()) {
      try {
        await close();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'Could not close all that was opened');
  }
}
