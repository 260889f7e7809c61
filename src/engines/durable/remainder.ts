import { createHash } from 'node:crypto';
import { ChunkBuilder, type ChunkLimits } from './chunk-builder.js';
import type { ChunkIds } from './chunk-ids.js';
import type { NewChunk } from './chunk-queue.js';
import { dueAt } from './due-time.js';
import type { LeasedChunk, LeavingItem } from './leased-chunk.js';
import { payloadText } from './payload-text.js';

/** Milliseconds for which the same remainder is not stored twice: longer than a process may be frozen and wake. */
const FENCE_MS = 600_000;

/** Items that are due at the same time, in one queue. */
interface Due {
  readonly dueAtMs: number;
  readonly isRetry: boolean;
  readonly items: { readonly chunk: LeasedChunk; readonly leaving: LeavingItem }[];
}

/** Items that leave a chunk. */
export interface Leaving {
  readonly chunk: LeasedChunk;
  readonly items: readonly LeavingItem[];
}

/**
 * The chunks in which the items travel on that leave others, which are all of one queue. Those of several chunks travel
 * together: nearly every chunk has a few, and a chunk for each few would cost as much as the first pass.
 *
 * @param nowMs milliseconds since the Unix epoch
 */
export async function makeRemainder(
  leaving: readonly Leaving[],
  nowMs: number,
  limits: ChunkLimits,
  ids: ChunkIds,
): Promise<NewChunk[]> {
  const made: NewChunk[] = [];
  for (const due of byDueTime(leaving, nowMs)) {
    for (const builder of await buildersOf(due, limits)) {
      const fence = fenceOf(leaving, `${due.dueAtMs} ${made.length}`);
      made.push({
        id: ids.next(builder.size),
        text: builder.build(),
        dueAtMs: due.dueAtMs,
        isRetry: due.isRetry,
        goesFirst: !due.isRetry,
        key: { id: fence, heldForMs: FENCE_MS },
      });
    }
  }
  return made;
}

function byDueTime(all: readonly Leaving[], nowMs: number): Due[] {
  const dues = new Map<number, Due>();
  for (const { chunk, items } of all) {
    for (const leaving of items) {
      const isRetry = leaving.delayMs !== undefined;
      const dueAtMs = isRetry ? dueAt(nowMs + leaving.delayMs) : 0;
      const due = dues.get(dueAtMs);
      if (due === undefined) dues.set(dueAtMs, { dueAtMs, isRetry, items: [{ chunk, leaving }] });
      else due.items.push({ chunk, leaving });
    }
  }
  return [...dues.values()];
}

async function buildersOf({ items }: Due, limits: ChunkLimits): Promise<ChunkBuilder[]> {
  const builders: ChunkBuilder[] = [];
  for (const { chunk, leaving } of items) {
    const text = await payloadText(chunk, leaving.place);
    let builder = builders.at(-1);
    if (builder === undefined || builder.isFullFor(text)) builders.push((builder = new ChunkBuilder(limits)));
    const { run, index } = chunk.ownerOf(leaving.place);
    const head = leaving.attempts > 0 ? { a: leaving.attempts } : undefined;
    builder.add(text, run.kind, run.job.id, index, head);
  }
  return builders;
}

/** Tells a remainder from every other one, those of other parts of the same chunks included: whoever stores it again, for the same leases, stores nothing. */
function fenceOf(all: readonly Leaving[], part: string): string {
  const leases = all
    .map(({ chunk: { lease }, items }) => `${lease.chunkId} ${lease.number} ${items[0]?.place}`)
    .join(' ');
  return createHash('sha256').update(`${leases} ${part}`).digest('base64url');
}
