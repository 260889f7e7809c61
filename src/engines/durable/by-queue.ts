import type { ChunkQueue } from './chunk-queue.js';
import type { LeasedChunk } from './leased-chunk.js';

/** Leased chunks by the queue that they are of: each call to a store is for one. */
export function byQueue(chunks: Iterable<LeasedChunk>): ReadonlyMap<ChunkQueue, LeasedChunk[]> {
  const groups = new Map<ChunkQueue, LeasedChunk[]>();
  for (const chunk of chunks) {
    const group = groups.get(chunk.queue);
    if (group === undefined) groups.set(chunk.queue, [chunk]);
    else group.push(chunk);
  }
  return groups;
}
