import type { Clock } from '../../core/clock.js';
import type { ChunkQueue, Lease } from './chunk-queue.js';

/** Leases that are asked for at a time, when many items are wanted: each is answered only after a way to the store and back. */
const MOST_AT_ONCE = 8;

/** How long to wait before a store that did not answer is asked again, in milliseconds. */
const AGAIN_MS = 500;

/** How much the last chunk weighs in what a chunk has. */
const NEWS = 0.25;

/** What a lease loop works for. */
export interface LeaseLoopSetting {
  readonly clock: Clock;
  /** How many items are wanted now; 0 or less: none. */
  wanted(): number;
  /** Takes a leased chunk. Further ones are leased once this resolves. @returns how many items it has */
  take(lease: Lease): Promise<number>;
  readonly troubled: (error: unknown) => void;
}

/** Leases chunks of one queue, as its workers need them. */
export class LeaseLoop {
  private isStopped = false;
  private wakeUp: (() => void) | undefined = undefined;
  private running: Promise<void> | undefined = undefined;
  /** What a chunk has had lately. */
  private chunkItems = 1;

  constructor(
    private readonly queue: ChunkQueue,
    private readonly setting: LeaseLoopSetting,
  ) {}

  start(): void {
    this.running ??= this.run();
  }

  /** More may be wanted now. */
  wake(): void {
    this.wakeUp?.();
    this.wakeUp = undefined;
  }

  /** Leases no more. */
  async stop(): Promise<void> {
    this.isStopped = true;
    this.wake();
    await this.queue.stopWaiting();
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.isStopped) {
      const wanted = this.setting.wanted();
      if (wanted <= 0) await this.asleep();
      else await this.leaseFor(wanted);
    }
  }

  private asleep(): Promise<void> {
    return new Promise((resolve) => (this.wakeUp = resolve));
  }

  private async leaseFor(wanted: number): Promise<void> {
    try {
      const leases = await this.lease(wanted);
      await Promise.all(leases.map((lease) => this.take(lease)));
    } catch (error) {
      if (this.isStopped) return;
      this.setting.troubled(error);
      const timer = this.setting.clock.setTimer(() => this.wake(), AGAIN_MS);
      await this.asleep();
      timer.cancel();
    }
  }

  private async lease(wanted: number): Promise<Lease[]> {
    const count = Math.min(MOST_AT_ONCE, Math.ceil(wanted / this.chunkItems));
    const answers = await Promise.all(Array.from({ length: count }, () => this.queue.lease(false)));
    const leases = answers.filter((lease) => lease !== undefined);
    if (leases.length > 0 || this.isStopped) return leases;
    const lease = await this.queue.lease(true);
    return lease === undefined ? [] : [lease];
  }

  private async take(lease: Lease): Promise<void> {
    const items = await this.setting.take(lease);
    this.chunkItems += NEWS * (items - this.chunkItems);
  }
}
