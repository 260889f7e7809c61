/** The order keys of a job's items that have not ended, and of its dead letters, by their indices. */
export class OrderKeys {
  /** Items of the job that wait for the one before them. */
  blocked = 0;
  private readonly open = new Map<number, string>();
  /** Made with the first item that dies. */
  private dead: Map<number, string> | undefined = undefined;

  /** @param keys of the items 0, 1 and so on */
  constructor(keys: readonly string[]) {
    for (const [index, key] of keys.entries()) this.open.set(index, key);
  }

  /** Keys that are kept. */
  get size(): number {
    return this.open.size + (this.dead?.size ?? 0);
  }

  /** The keys of the items that have not ended, by their indices. */
  get openItems(): Iterable<[number, string]> {
    return this.open;
  }

  add(index: number, key: string): void {
    this.open.set(index, key);
  }

  /** That of an item which has not ended. */
  of(index: number): string {
    return this.open.get(index)!;
  }

  /** `count` items, from `index` on, have ended for good. */
  delete(index: number, count: number): void {
    for (let ended = index; ended < index + count; ended++) this.open.delete(ended);
  }

  /** Its item has died, and may be redriven. */
  bury(index: number): void {
    (this.dead ??= new Map()).set(index, this.of(index));
    this.open.delete(index);
  }

  /** Its item, a dead letter, runs again. */
  exhume(index: number): void {
    this.open.set(index, this.dead!.get(index)!);
    this.dead!.delete(index);
  }

  /** Its item, a dead letter, is forgotten. */
  discard(index: number): void {
    this.dead!.delete(index);
  }

  /** Those of the items at which `isKept` is true, which follow one another then. */
  filter(isKept: readonly boolean[]): OrderKeys {
    return new OrderKeys([...this.open.values()].filter((_, place) => isKept[place]));
  }
}
