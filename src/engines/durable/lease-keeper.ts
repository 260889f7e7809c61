import type { Clock, Timer } from '../../core/clock.js';
import type { ChunkQueue } from './chunk-queue.js';
import { groupBy } from './group-by.js';
import type { LeasedChunk } from './leased-chunk.js';

/** What the keeper tells. */
export interface LeaseKeeperListener {
  /** @param unheardMs for how long the leases had not been prolonged before this was found */
  lost(chunk: LeasedChunk, unheardMs: number): void;
  /** Called after the leases were prolonged: what goes with them may be looked at. */
  renewed(chunks: readonly LeasedChunk[]): void;
  readonly troubled: (error: unknown) => void;
}

/**
 * Prolongs the leases of this process, four times in their length: a lease holds as long as the event loop turns in half of it.
 */
export class LeaseKeeper {
  private readonly chunks = new Set<LeasedChunk>();
  private timer: Timer | undefined = undefined;
  private isRenewing = false;
  private renewedAtMs = 0;
  private readonly periodMs: number;

  constructor(
    leaseMs: number,
    private readonly clock: Clock,
    private readonly listener: LeaseKeeperListener,
  ) {
    this.periodMs = leaseMs / 4;
  }

  add(chunk: LeasedChunk): void {
    if (this.chunks.size === 0) this.renewedAtMs = this.clock.now();
    this.chunks.add(chunk);
    this.timer ??= this.clock.setTimer(() => this.tick(), this.periodMs);
  }

  remove(chunk: LeasedChunk): void {
    this.chunks.delete(chunk);
    if (this.chunks.size > 0) return;
    this.timer?.cancel();
    this.timer = undefined;
  }

  /** Prolongs nothing any more: what is still held lapses. */
  stop(): void {
    this.chunks.clear();
    this.timer?.cancel();
    this.timer = undefined;
  }

  /** The chunks that are held at this moment. */
  get all(): readonly LeasedChunk[] {
    return [...this.chunks];
  }

  private tick(): void {
    if (this.chunks.size === 0) return;
    this.timer = this.clock.setTimer(() => this.tick(), this.periodMs);
    // A store that does not answer must not be asked again and again.
    if (!this.isRenewing) void this.renew();
  }

  private async renew(): Promise<void> {
    this.isRenewing = true;
    const unheardMs = this.clock.now() - this.renewedAtMs;
    try {
      const held = [...this.chunks];
      const byQueue = groupBy(held, ({ queue }) => queue);
      await Promise.all([...byQueue].map(([queue, chunks]) => this.renewIn(queue, chunks, unheardMs)));
      this.renewedAtMs = this.clock.now();
      this.listener.renewed(held.filter(({ isLost }) => !isLost));
    } catch (error) {
      this.listener.troubled(error);
    } finally {
      this.isRenewing = false;
    }
  }

  private async renewIn(queue: ChunkQueue, chunks: readonly LeasedChunk[], unheardMs: number): Promise<void> {
    const lost = new Set(await queue.renew(chunks.map(({ lease }) => lease)));
    for (const chunk of chunks) {
      if (!lost.has(chunk.lease.chunkId) || chunk.isLost) continue;
      // It may be that it has been completed while the store was asked: who ends it is told whether it was held.
      if (chunk.isEnding || !this.chunks.has(chunk)) continue;
      chunk.isLost = true;
      this.remove(chunk);
      this.listener.lost(chunk, unheardMs);
    }
  }
}
