import type { LedgerEntry, RunEntry } from './entries.js';

/** What the ledger has told so far: which items have not ended, and what each worker holds. */
export class Tally {
  readonly entries: LedgerEntry[] = [];
  private readonly open = new Set<string>();
  private readonly ended = new Set<string>();
  private readonly held = new Map<string, Set<string>>();
  private readonly lastStarts = new Map<string, RunEntry>();

  add(entries: readonly LedgerEntry[]): void {
    for (const entry of entries) this.addOne(entry);
  }

  /** Submitted items that are neither completed nor dead. */
  get openItems(): number {
    return this.open.size;
  }

  /** Items that the worker has started and not finished. */
  heldBy(worker: string): readonly string[] {
    return [...(this.held.get(worker) ?? [])];
  }

  /** The start of the item that was read last. */
  lastStart(item: string): RunEntry | undefined {
    return this.lastStarts.get(item);
  }

  hasEnded(item: string): boolean {
    return this.ended.has(item);
  }

  private addOne(entry: LedgerEntry): void {
    this.entries.push(entry);
    switch (entry.kind) {
      case 'submitted':
        // An item may be done before its producer has heard that it was stored.
        for (const item of entry.items) if (!this.ended.has(item)) this.open.add(item);
        return;
      case 'started':
        this.heldSet(entry.worker).add(entry.item);
        this.lastStarts.set(entry.item, entry);
        return;
      case 'done':
        this.heldSet(entry.worker).delete(entry.item);
        this.end(entry.item);
        return;
      case 'failed':
        this.heldSet(entry.worker).delete(entry.item);
        return;
      case 'dead':
        this.end(entry.item);
        return;
      case 'submission-failed':
      case 'trouble':
        return;
      default:
        throw entry satisfies never;
    }
  }

  private heldSet(worker: string): Set<string> {
    let items = this.held.get(worker);
    if (!items) this.held.set(worker, (items = new Set()));
    return items;
  }

  private end(item: string): void {
    this.ended.add(item);
    this.open.delete(item);
  }
}
