import type { ChunkRun, ItemHead, RunKind } from './chunk-format.js';

/** How large a chunk may grow. */
export interface ChunkLimits {
  /** Items, 1 or more. */
  readonly chunkSize: number;
  /** Bytes of the payloads. A single item may have more. */
  readonly maxChunkBytes: number;
}

/** Gathers the items of one chunk, as texts. */
export class ChunkBuilder {
  private readonly texts: string[] = [];
  private readonly runs: { kind: ChunkRun[0]; id: string; first: number; count: number }[] = [];
  private heads: Record<string, ItemHead> | undefined = undefined;
  private length = 0;

  constructor(private readonly limits: ChunkLimits) {}

  get size(): number {
    return this.texts.length;
  }

  /** Whether an item of this text is for the next chunk. */
  isFullFor(text: string): boolean {
    const { chunkSize, maxChunkBytes } = this.limits;
    if (this.size === 0) return false;
    return this.size >= chunkSize || this.length + text.length > maxChunkBytes;
  }

  /** Adds an item of a job. */
  add(text: string, kind: RunKind, jobId: string, index: number, head?: ItemHead): void {
    this.continueRun(kind, jobId, index);
    this.addText(text, head);
  }

  /** Adds the only item of a job of which no record is kept. */
  addSingle(text: string, idPrefix: string, sequence: number): void {
    this.continueRun('jobs', idPrefix, sequence);
    this.addText(text, undefined);
  }

  private continueRun(kind: ChunkRun[0], id: string, place: number): void {
    const last = this.runs.at(-1);
    if (last !== undefined && last.kind === kind && last.id === id && last.first + last.count === place)
      last.count++;
    else this.runs.push({ kind, id, first: place, count: 1 });
  }

  private addText(text: string, head: ItemHead | undefined): void {
    if (head !== undefined) (this.heads ??= {})[this.texts.length] = head;
    this.texts.push(text);
    this.length += text.length;
  }

  /** The chunk as JSON. */
  build(): string {
    const of = JSON.stringify(this.runs.map(({ kind, id, first, count }) => [kind, id, first, count]));
    const heads = this.heads === undefined ? '' : `"heads":${JSON.stringify(this.heads)},`;
    const { texts } = this;
    // All in one join: a text that is put together of others, a large one among them, is copied again before it can be sent.
    const parts = [`{"v":1,"of":${of},${heads}"items":[${texts[0] ?? ''}`, ...texts.slice(1)];
    parts[parts.length - 1] += ']}';
    return parts.join(',');
  }
}
