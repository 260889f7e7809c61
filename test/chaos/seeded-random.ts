/** Chance that comes out the same for the same seed, so that a run can be repeated. */
export class SeededRandom {
  constructor(private state: number) {}

  /** A number in [0, 1). */
  next(): number {
    // Mulberry32: small, and even enough to choose victims by.
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  /** @throws RangeError when there is nothing to choose from */
  oneOf<T>(choices: readonly T[]): T {
    if (choices.length === 0) throw new RangeError('Expected something to choose from, got an empty list');
    return choices[this.between(0, choices.length - 1)] as T;
  }

  /** Chance of its own for a part of the run: how often one part asks does not change what another gets. */
  fork(part: string): SeededRandom {
    let seed = this.state;
    for (const character of part) seed = Math.imul(seed ^ (character.codePointAt(0) ?? 0), 0x01000193);
    return new SeededRandom(seed);
  }
}
