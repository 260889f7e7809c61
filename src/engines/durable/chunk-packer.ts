import type { Job } from '../../core/job.js';
import { laneOf, type SubmitOptions } from '../../core/submit-options.js';
import { ChunkBuilder } from './chunk-builder.js';
import type { ChunkIds } from './chunk-ids.js';
import type { ChunkQueue, NewChunk } from './chunk-queue.js';
import { dueAt } from './due-time.js';
import type { DurableType } from './durable-type.js';

/** A chunk that is ready to be stored. */
export interface PackedChunk {
  readonly queue: ChunkQueue;
  readonly chunk: NewChunk;
  readonly items: number;
}

/** Packs the items of one job into chunks. */
export class ChunkPacker {
  private builder: ChunkBuilder;
  private ready: PackedChunk[] = [];
  /** The index of the next item. What the job has accepted is told by its record, and is behind. */
  private nextIndex = 0;
  private readonly dueAtMs: number;

  constructor(
    private readonly job: Job,
    private readonly type: Pick<DurableType, 'limits' | 'queues'>,
    private readonly options: SubmitOptions,
    private readonly setting: { readonly ids: ChunkIds; readonly dueAtMs: number },
  ) {
    this.builder = new ChunkBuilder(type.limits);
    this.dueAtMs = setting.dueAtMs === 0 ? 0 : dueAt(setting.dueAtMs);
  }

  /** Chunks that are ready. */
  get packed(): number {
    return this.ready.length;
  }

  /** Chunks that are ready, and items of the one that is not. */
  get size(): number {
    return this.ready.length + this.builder.size;
  }

  /** Items with a key travel alone: the store knows keys and orders of chunks only. */
  add(text: string, uniqueKey: string | undefined, orderKey: string | undefined): void {
    const isAlone = uniqueKey !== undefined || orderKey !== undefined;
    if (isAlone || this.builder.isFullFor(text)) this.close();
    this.builder.add(
      text,
      this.job.id,
      this.nextIndex++,
      true,
      uniqueKey === undefined ? undefined : { u: 1 },
    );
    if (isAlone) this.pack(uniqueKey, orderKey);
  }

  /** Ends the chunk that is being packed. */
  close(): void {
    if (this.builder.size > 0) this.pack(undefined, undefined);
  }

  /** Takes out up to `count` chunks that are ready. */
  take(count: number): PackedChunk[] {
    if (count >= this.ready.length) {
      const all = this.ready;
      this.ready = [];
      return all;
    }
    return this.ready.splice(0, count);
  }

  private pack(uniqueKey: string | undefined, orderKey: string | undefined): void {
    const { builder, dueAtMs, options } = this;
    const { queues, limits } = this.type;
    const queue = orderKey === undefined ? queues.ofLane(laneOf(options)) : queues.ofKey(orderKey);
    const key =
      uniqueKey === undefined ? undefined : { id: `u.${uniqueKey}`, heldForMs: options.uniqueForMs };
    const chunk = {
      id: this.setting.ids.next(builder.size),
      text: builder.build(),
      dueAtMs,
      isRetry: false,
      goesFirst: false,
      key,
    };
    this.ready.push({ queue, chunk, items: builder.size });
    this.builder = new ChunkBuilder(limits);
  }
}
