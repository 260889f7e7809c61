import type { ChaosItem } from '../chaos-item.js';

/** What the programs of the suite need of the engine that they put into trouble. */
export interface EngineUnderTest {
  /** Begins to work on items, several at a time. */
  work(handle: (item: ChaosItem, attempt: number) => Promise<void>): Promise<void>;
  /** Resolves when all of the items are stored; when it rejects, they may be stored or not. */
  submit(items: readonly ChaosItem[]): Promise<void>;
  deadLetters(): Promise<readonly SeenLetter[]>;
  /** Items that wait, are delayed or run, over all processes. */
  openItems(): Promise<number>;
  /** Ends in order. */
  close(): Promise<void>;
}

export interface SeenLetter {
  readonly item: ChaosItem;
  readonly reason: string;
}
