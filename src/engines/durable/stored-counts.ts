import type { PackedChunk } from './chunk-packer.js';
import type { StoredId } from './chunk-queue.js';

/** Counts what a submission has stored; also what the store answers long after the submission was broken off. */
export class StoredCounts {
  accepted = 0;
  /** Items that are not there, as others have their keys. */
  duplicates = 0;
  private known: Promise<unknown> = Promise.resolve();

  /** Counts the chunks once it is known what became of them. None of them is there when they were refused. */
  follow(chunks: readonly PackedChunk[], answer: Promise<readonly StoredId[]>): void {
    const counted = answer.then(
      (ids) => this.count(chunks, ids),
      () => undefined,
    );
    this.known = Promise.all([this.known, counted]);
  }

  /** Resolves when it is known of all that has been sent what became of it. Never rejects. */
  async whenKnown(): Promise<void> {
    await this.known;
  }

  private count(chunks: readonly PackedChunk[], ids: readonly StoredId[]): void {
    for (const [place, { chunk, items }] of chunks.entries()) {
      if (ids[place] === chunk.id) this.accepted += items;
      else this.duplicates += items;
    }
  }
}
