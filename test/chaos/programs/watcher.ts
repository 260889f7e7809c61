import { setTimeout as delay } from 'node:timers/promises';
import type { LedgerWriter } from '../ledger/ledger-writer.js';
import type { EngineUnderTest } from './engine-under-test.js';
import { tellSuite } from './messages.js';
import type { Role } from './run-program.js';

/** No engine tells other processes of its dead letters, or that its queue is empty: somebody has to look. */
const LOOK_MS = 250;

/** Writes down the dead letters, and tells how much the engine still has. */
export class Watcher implements Role {
  private readonly seen = new Set<string>();
  private readonly stopping = new AbortController();
  private looking: Promise<void> = Promise.resolve();

  constructor(
    private readonly engine: EngineUnderTest,
    private readonly ledger: LedgerWriter,
  ) {}

  async start(): Promise<void> {
    this.looking = this.watch();
  }

  tell(): void {}

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.looking;
  }

  private async watch(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      // While its Redis is down there is nothing to see; the next look will tell.
      await this.look().catch((error: unknown) => tellSuite({ kind: 'blind', error: String(error) }));
      await delay(LOOK_MS, undefined, { signal: this.stopping.signal }).catch(() => undefined);
    }
  }

  private async look(): Promise<void> {
    // In this order: what was open at the first look may be dead at the second, and is known then.
    const items = await this.engine.openItems();
    for (const { item, reason } of await this.engine.deadLetters()) {
      if (this.seen.has(item.name)) continue;
      this.seen.add(item.name);
      this.ledger.write({ kind: 'dead', item: item.name, reason, atMs: Date.now() });
    }
    tellSuite({ kind: 'queue', items });
  }
}
