import type { Job } from '../../core/job.js';
import { laneOf, type SubmitOptions } from '../../core/submit-options.js';
import { ChunkBuilder } from './chunk-builder.js';
import type { ChunkIds } from './chunk-ids.js';
import type { ChunkQueue, NewChunk } from './chunk-queue.js';
import { dueAt } from './due-time.js';
import type { DurableType } from './durable-type.js';
import { sliceText } from './slice-text.js';

/** Items that go to the store in one call, or a few more. */
const ITEMS_AT_ONCE = 4_096;

/** Chunks that do: some have a single item. */
const CHUNKS_AT_ONCE = 100;

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
  private readyItems = 0;
  /** The index of the next item. What the job has accepted is told by its record, and is behind. */
  private nextIndex = 0;
  private readonly dueAtMs: number;

  constructor(
    private readonly job: Job,
    private readonly type: Pick<DurableType, 'limits' | 'queues'>,
    private readonly options: SubmitOptions,
    private readonly setting: {
      readonly ids: ChunkIds;
      readonly dueAtMs: number;
      readonly maxItemBytes: number;
    },
  ) {
    this.builder = new ChunkBuilder(type.limits);
    this.dueAtMs = setting.dueAtMs === 0 ? 0 : dueAt(setting.dueAtMs);
  }

  /** Whether there is as much as goes to the store in one call. */
  get isWriteFull(): boolean {
    return this.readyItems >= ITEMS_AT_ONCE || this.ready.length >= CHUNKS_AT_ONCE;
  }

  get isEmpty(): boolean {
    return this.ready.length === 0 && this.builder.size === 0;
  }

  /** Items with a key travel alone: the store knows keys and orders of chunks only. */
  add(text: string, uniqueKey: string | undefined, orderKey: string | undefined): void {
    const isAlone = uniqueKey !== undefined || orderKey !== undefined;
    if (isAlone || this.builder.isFullFor(text)) this.close();
    const head = uniqueKey === undefined ? undefined : { u: 1 as const };
    this.builder.add(text, 'job', this.job.id, this.nextIndex++, head);
    if (isAlone) this.pack(uniqueKey, orderKey);
  }

  /**
   * Adds items without keys as a chunk of their own.
   *
   * @param payloads as many as a chunk has, or fewer
   * @returns false, having done nothing, when they have to be added one by one
   */
  addSlice(payloads: readonly unknown[]): boolean {
    const { maxItemBytes } = this.setting;
    const { limits } = this.type;
    const text = sliceText(this.job.id, this.nextIndex, payloads, { maxItemBytes, limits });
    if (text === undefined) return false;
    this.close();
    this.nextIndex += payloads.length;
    this.push(this.type.queues.ofLane(laneOf(this.options)), text, payloads.length, undefined);
    return true;
  }

  /** Ends the chunk that is being packed. */
  close(): void {
    if (this.builder.size > 0) this.pack(undefined, undefined);
  }

  /** Takes out the chunks that are ready. */
  take(): PackedChunk[] {
    const { ready } = this;
    this.ready = [];
    this.readyItems = 0;
    return ready;
  }

  private pack(uniqueKey: string | undefined, orderKey: string | undefined): void {
    const { builder, options } = this;
    const { queues, limits } = this.type;
    const queue = orderKey === undefined ? queues.ofLane(laneOf(options)) : queues.ofKey(orderKey);
    const key =
      uniqueKey === undefined ? undefined : { id: `u.${uniqueKey}`, heldForMs: options.uniqueForMs };
    this.push(queue, builder.build(), builder.size, key);
    this.builder = new ChunkBuilder(limits);
  }

  private push(queue: ChunkQueue, text: string, items: number, key: NewChunk['key']): void {
    const { dueAtMs, setting } = this;
    const id = setting.ids.next(items);
    this.readyItems += items;
    this.ready.push({ queue, items, chunk: { id, text, dueAtMs, isRetry: false, goesFirst: false, key } });
  }
}
