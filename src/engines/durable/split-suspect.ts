import { createHash } from 'node:crypto';
import { jsonText } from '../../core/json-text.js';
import { ChunkBuilder } from './chunk-builder.js';
import type { ItemHead } from './chunk-format.js';
import type { ChunkIds } from './chunk-ids.js';
import type { NewChunk } from './chunk-queue.js';
import type { LeasedChunk } from './leased-chunk.js';

/** In how many parts a chunk is split. A process that died has mostly been killed, so the parts are not small at once. */
const PARTS = 8;

/** Milliseconds for which the same parts are not stored twice. */
const FENCE_MS = 600_000;

/**
 * The items of a chunk whose process died, in smaller chunks: one of them may have killed it, and when it does so again, it
 * takes fewer others along, until it is alone. Whoever splits the chunk once more, as it did not come to complete it, stores
 * nothing.
 */
export function splitSuspect(chunk: LeasedChunk, ids: ChunkIds): NewChunk[] {
  const open = chunk.content.items.map((_, place) => place).filter((place) => !chunk.isSettled(place));
  const partSize = Math.ceil(open.length / PARTS);
  const parts: NewChunk[] = [];
  for (let from = 0; from < open.length; from += partSize) {
    const builder = partOf(chunk, open.slice(from, from + partSize));
    parts.push({
      id: ids.next(builder.size),
      text: builder.build(),
      dueAtMs: 0,
      isRetry: false,
      goesFirst: true,
      key: { id: fenceOf(chunk, from), heldForMs: FENCE_MS },
    });
  }
  return parts;
}

function partOf(chunk: LeasedChunk, places: readonly number[]): ChunkBuilder {
  const builder = new ChunkBuilder({ chunkSize: places.length, maxChunkBytes: Infinity });
  for (const place of places) {
    const { run, index } = chunk.ownerOf(place);
    const text = jsonText(chunk.content.items[place]);
    builder.add(text, run.kind, run.job.id, index, headOf(chunk, place, places.length === 1));
  }
  return builder;
}

function headOf({ content }: LeasedChunk, place: number, isAlone: boolean): ItemHead | undefined {
  const attempts = content.heads?.[place]?.a ?? 0;
  if (attempts === 0 && !isAlone) return undefined;
  return { ...(attempts > 0 && { a: attempts }), ...(isAlone && { s: 1 as const }) };
}

function fenceOf({ lease }: LeasedChunk, from: number): string {
  return createHash('sha256').update(`${lease.chunkId} ${from}`).digest('base64url');
}
