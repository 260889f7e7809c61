import type { LedgerEntry } from './ledger/entries.js';
import { Tally } from './ledger/tally.js';

/** How long to wait: so long in all, or until nothing has moved for so long. Milliseconds. */
export type Patience = { readonly withinMs: number } | { readonly quietMs: number };

interface Wait {
  look(): void;
  moved(): void;
  fail(reason: unknown): void;
}

/** What a scenario has come to so far, and who waits for it to come to something. */
export class Progress {
  readonly tally = new Tally();
  private readonly waits = new Set<Wait>();

  /** @param signal ends every wait, by its reason */
  constructor(private readonly signal: AbortSignal) {
    signal.addEventListener('abort', this.onAbort, { once: true });
  }

  add(entries: readonly LedgerEntry[]): void {
    this.tally.add(entries);
    for (const wait of this.waits) wait.moved();
    this.changed();
  }

  /** Something that is no work has changed: those who wait look again. */
  changed(): void {
    for (const wait of this.waits) wait.look();
  }

  /**
   * Waits until an answer is there.
   *
   * @returns the answer; undefined when patience is over
   */
  until<T>(ask: () => T | undefined, patience: Patience): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.signal.throwIfAborted();
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        this.waits.delete(wait);
        settle();
      };
      const isQuiet = 'quietMs' in patience;
      const timer = setTimeout(
        () => end(() => resolve(undefined)),
        isQuiet ? patience.quietMs : patience.withinMs,
      );
      const wait: Wait = {
        look: () => {
          const answer = ask();
          if (answer !== undefined) end(() => resolve(answer));
        },
        moved: () => {
          if (isQuiet) timer.refresh();
        },
        fail: (reason) => end(() => reject(reason)),
      };
      this.waits.add(wait);
      wait.look();
    });
  }

  close(): void {
    this.signal.removeEventListener('abort', this.onAbort);
  }

  private readonly onAbort = (): void => {
    for (const wait of this.waits) wait.fail(this.signal.reason);
  };
}
