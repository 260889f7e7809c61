import type { UniqueKeys } from './unique-keys.js';

/** The unique keys that the items of a job hold until they have ended, by their indices. */
export class HeldKeys {
  private readonly keys = new Map<number, string>();
  /** Indices of the items that workers hold. */
  private readonly running = new Set<number>();

  /** @param unique those of the worker type */
  constructor(private readonly unique: UniqueKeys) {}

  /** Keys that are held. */
  get size(): number {
    return this.keys.size;
  }

  /**
   * Holds `key` for the item `index`, unless another holds it.
   *
   * @param forMs milliseconds for which it is held whatever becomes of the item; Infinity: until that has ended
   * @returns whether it was free
   */
  hold(index: number, key: string, forMs: number): boolean {
    if (!this.unique.hold(key, forMs)) return false;
    // One with a time is let go of by its time alone, and by then it may be another's.
    if (forMs === Infinity) this.keys.set(index, key);
    return true;
  }

  /** A worker has it. */
  started(index: number): void {
    this.running.add(index);
  }

  /** No worker has it any more, and it has not ended. */
  stays(index: number): void {
    this.running.delete(index);
  }

  /** Lets go of the keys of `count` items, from `index` on, which have ended. An item that is redriven has none any more. */
  release(index: number, count: number): void {
    for (let ended = index; ended < index + count; ended++) {
      this.running.delete(ended);
      this.letGo(ended);
    }
  }

  /** Lets go of the keys of the items that no worker holds. */
  releaseWaiting(): void {
    for (const index of this.keys.keys()) if (!this.running.has(index)) this.letGo(index);
  }

  /** Lets go of all keys. */
  releaseAll(): void {
    for (const index of this.keys.keys()) this.letGo(index);
  }

  private letGo(index: number): void {
    const key = this.keys.get(index);
    if (key === undefined) return;
    this.keys.delete(index);
    this.unique.release(key);
  }
}
