import { createHash } from 'node:crypto';
import { jsonText } from '../../core/json-text.js';
import { ChunkBuilder } from './chunk-builder.js';
import type { ChunkIds } from './chunk-ids.js';
import type { NewChunk } from './chunk-queue.js';
import type { LeasedChunk } from './leased-chunk.js';

/** Milliseconds for which the same parts are not stored twice. */
const FENCE_MS = 600_000;

const ALONE = { chunkSize: 1, maxChunkBytes: Infinity };

/**
 * The items of a chunk whose process died, each in a chunk of its own: one of them may have killed it, and must not take the
 * others along when it does so again. Whoever splits the chunk once more, as it did not come to complete it, stores nothing.
 */
export function splitSuspect(chunk: LeasedChunk, ids: ChunkIds): NewChunk[] {
  const { content, lease } = chunk;
  return content.items.map((payload, place) => {
    const { run, index } = chunk.ownerOf(place);
    const builder = new ChunkBuilder(ALONE);
    const attempts = content.heads?.[place]?.a ?? 0;
    const head = attempts > 0 ? { a: attempts, s: 1 as const } : { s: 1 as const };
    builder.add(jsonText(payload), run.job.id, index, run.isTracked, head);
    const fence = createHash('sha256').update(`${lease.chunkId} ${place}`).digest('base64url');
    return {
      id: ids.next(1),
      text: builder.build(),
      dueAtMs: 0,
      isRetry: false,
      key: { id: fence, heldForMs: FENCE_MS },
    };
  });
}
