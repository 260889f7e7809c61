import type { Clock } from '../../core/clock.js';
import type { ItemCount, QueueDepth } from '../../core/engine.js';
import { itemsOfChunk } from './chunk-format.js';
import type { ChunkCounts, ChunkQueue } from './chunk-queue.js';
import type { DurableType } from './durable-type.js';

/** Chunks that are looked at in each queue; of more, the items are estimated. */
const COUNTED = 1_000;

/** The items of a worker type that have not ended, over all processes. */
export async function depthOf({ queues, letters }: DurableType, clock: Clock): Promise<QueueDepth> {
  const [parts, dead] = await Promise.all([
    Promise.all(queues.all.map(({ queue }) => lookAt(queue))),
    letters.count(),
  ]);
  const oldest = parts.flatMap(({ oldestAtMs }) => oldestAtMs ?? []);
  const sum = (state: keyof ChunkCounts): ItemCount =>
    parts.map((part) => part[state]).reduce(added, { items: 0, chunks: 0, exact: true });
  return {
    waiting: sum('waiting'),
    delayed: sum('delayed'),
    active: sum('active'),
    dead,
    oldestAgeMs: oldest.length === 0 ? undefined : Math.max(0, clock.wallNow() - Math.min(...oldest)),
  };
}

async function lookAt(
  queue: ChunkQueue,
): Promise<Record<keyof ChunkCounts, ItemCount> & { readonly oldestAtMs: number | undefined }> {
  const [counts, waiting, delayed, active] = await Promise.all([
    queue.counts(),
    queue.ids('waiting', COUNTED),
    queue.ids('delayed', COUNTED),
    queue.ids('active', COUNTED),
  ]);
  return {
    waiting: itemsOf(counts.waiting, waiting.ids),
    delayed: itemsOf(counts.delayed, delayed.ids),
    active: itemsOf(counts.active, active.ids),
    oldestAtMs: waiting.oldestAtMs,
  };
}

/** @param ids of the first of `chunks` chunks */
function itemsOf(chunks: number, ids: readonly string[]): ItemCount {
  const items = ids.reduce((sum, id) => sum + itemsOfChunk(id), 0);
  if (ids.length >= chunks) return { items, chunks: ids.length, exact: true };
  return { items: Math.round((items / Math.max(1, ids.length)) * chunks), chunks, exact: false };
}

function added(a: ItemCount, b: ItemCount): ItemCount {
  return { items: a.items + b.items, chunks: a.chunks + b.chunks, exact: a.exact && b.exact };
}
