import { beforeEach } from '@jest/globals';
import { Worker, WorkerType } from '../../../src/index.js';
import { gate } from './applications.js';

/** What the worker does with the items of the running test, and what it has done. */
export class RowWork {
  worked!: unknown[];
  handle!: (item: unknown, attempt: number) => unknown;

  constructor() {
    this.workAnew();
  }

  /** Works on every item from now on, and forgets what was worked on before. */
  workAnew(): void {
    this.worked = [];
    this.handle = (item) => void this.worked.push(item);
  }

  /** Fails at the items of `failing`, and stays at `heldItem` until it is let go. */
  holdAt(heldItem: unknown, failing: ReadonlySet<unknown> = new Set()): HeldRow {
    const reached = gate();
    const held = gate();
    this.handle = (item) => {
      this.worked.push(item);
      if (failing.has(item)) throw new Error('bad');
      if (item !== heldItem) return undefined;
      reached.open();
      return held.opened;
    };
    return { reached: reached.opened, letGo: () => held.open() };
  }
}

/** The item at which the worker stays. */
export interface HeldRow {
  /** Resolves when the worker is there. */
  readonly reached: Promise<void>;
  letGo(): void;
}

/** That of the running test. */
export let rowWork: RowWork;
beforeEach(() => void (rowWork = new RowWork()));

@WorkerType('rows', { maxConcurrency: 1, retry: { limit: 1, backoffMs: 0 } })
export class RowWorker extends Worker {
  override processItem(item: unknown, { attempt }: { attempt: number }) {
    return rowWork.handle(item, attempt);
  }
}
