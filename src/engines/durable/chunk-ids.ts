import { randomBytes } from 'node:crypto';
import { chunkId } from './chunk-format.js';

/** Ids for the chunks that this process makes. */
export class ChunkIds {
  private readonly prefix = randomBytes(6).toString('base64url');
  private sequence = 0;

  /** @param items how many items the chunk has */
  next(items: number): string {
    return chunkId(this.prefix, this.sequence++, items);
  }
}
