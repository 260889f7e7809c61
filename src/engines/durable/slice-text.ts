import type { ChunkLimits } from './chunk-builder.js';
import type { ChunkContent } from './chunk-format.js';
import { BYTES_OF_CHARACTER } from './item-text.js';

/**
 * Items of a job as the text of one chunk, written in one go, which is several times as fast as one by one.
 *
 * @returns undefined when each of them has to be looked at by itself: one may be refused, or they are more than a chunk
 */
export function sliceText(
  jobId: string,
  index: number,
  payloads: readonly unknown[],
  { maxItemBytes, limits }: { readonly maxItemBytes: number; readonly limits: ChunkLimits },
): string | undefined {
  // In an array, JSON makes null of what it can't write.
  if (!payloads.every(isWrittenForSure)) return undefined;
  const content: ChunkContent = { v: 1, of: [['job', jobId, index, payloads.length]], items: payloads };
  const text = written(content);
  if (text === undefined || text.length > limits.maxChunkBytes) return undefined;
  return text.length * BYTES_OF_CHARACTER <= maxItemBytes ? text : undefined;
}

const SIMPLE_TYPES = new Set(['string', 'number', 'boolean']);

function isWrittenForSure(payload: unknown): boolean {
  if (typeof payload !== 'object') return SIMPLE_TYPES.has(typeof payload);
  return payload === null || !hasItsOwnWay(payload);
}

function hasItsOwnWay(payload: object): boolean {
  return 'toJSON' in payload || ArrayBuffer.isView(payload) || payload instanceof ArrayBuffer;
}

function written(content: ChunkContent): string | undefined {
  try {
    return JSON.stringify(content);
  } catch {
    return undefined;
  }
}
