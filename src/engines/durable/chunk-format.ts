import { describe } from '../../core/describe.js';
import { UnreadableChunkError } from './durable-errors.js';

/**
 * What a chunk holds, version 1, as JSON:
 *
 * ```json
 * {"v":1,"of":[["job","Ab3dEf9h-17",512,3]],"heads":{"1":{"a":2}},"items":[{"to":"ada"},{"to":"bob"},{"to":"cy"}]}
 * ```
 *
 * Whatever an item does not share with its neighbours stands in `heads`, by its place in the chunk, from 0; most have none.
 */
export interface ChunkContent {
  readonly v: 1;
  /** Whose items they are, in the order of `items`. */
  readonly of: readonly ChunkRun[];
  /** Left out when no item has one. */
  readonly heads?: Readonly<Record<string, ItemHead>>;
  /** The payloads. */
  readonly items: readonly unknown[];
}

/** Items of a chunk that follow one another and belong together. */
export type ChunkRun =
  /** `count` items of a job from `index` on. A record is kept of the job. */
  | readonly [kind: 'job', jobId: string, index: number, count: number]
  /** The same, of items that were redriven after the job was cancelled: the cancel does not reach them. */
  | readonly [kind: 'redriven', jobId: string, index: number, count: number]
  /** The same, of a job that no record is kept of. */
  | readonly [kind: 'loose', jobId: string, index: number, count: number]
  /** The only items of `count` jobs whose ids are the prefix and a number, one after another from `sequence` on. No records. */
  | readonly [kind: 'jobs', idPrefix: string, sequence: number, count: number];

/** How items belong to their job. Those of a run of jobs are loose, each in its own. */
export type RunKind = Exclude<ChunkRun[0], 'jobs'>;

/** What is said of a single item. */
export interface ItemHead {
  /** Attempts that it has behind it. */
  readonly a?: number;
  /** 1: its process died when its chunk ran, or did not answer, so it is to be worked on alone. */
  readonly s?: 1;
  /** 1: it holds a unique key, so it stays in its chunk to the end. */
  readonly u?: 1;
}

/** @throws UnreadableChunkError when it is of no form that this version knows */
export function readChunk(id: string, content: unknown): ChunkContent {
  const version = (content as Partial<ChunkContent> | null)?.v;
  if (version !== 1) {
    throw new UnreadableChunkError(id, `expected a chunk of version 1, got ${describe(version)}`);
  }
  return content as ChunkContent;
}

/** The id of a chunk: it says how many items the chunk has, so that a queue can be counted by ids alone. */
export function chunkId(prefix: string, sequence: number, items: number): string {
  return `${prefix}.${sequence.toString(36)}.${items}`;
}

/** How many items the chunk of this id has; 1 when the id is of another making. */
export function itemsOfChunk(id: string): number {
  const items = Number(id.slice(id.lastIndexOf('.') + 1));
  return Number.isSafeInteger(items) && items > 0 ? items : 1;
}
