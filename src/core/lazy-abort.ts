/**
 * An abort signal that is made when it is first asked for: making one costs more than a small item, and most
 * handlers never look at it.
 */
export class LazyAbort {
  private controller: AbortController | undefined = undefined;
  private aborted = false;
  private reason: Error | undefined = undefined;

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.aborted) this.controller.abort(this.reason);
    }
    return this.controller.signal;
  }

  abort(reason: Error): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    this.controller?.abort(reason);
  }

  /** Makes it as new. A signal that was handed out stays as it was. */
  reset(): void {
    this.controller = undefined;
    this.aborted = false;
    this.reason = undefined;
  }
}
