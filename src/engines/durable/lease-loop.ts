import type { Clock } from '../../core/clock.js';
import { LaneShares } from '../../core/lane-shares.js';
import type { Lease } from './chunk-queue.js';
import type { TypeQueue } from './type-queues.js';

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
  take(source: TypeQueue, lease: Lease): Promise<number>;
  readonly troubled: (error: unknown) => void;
}

/** Leases chunks of one queue, or of the lanes of a worker type by their shares, as the workers need them. */
export class LeaseLoop {
  private isStopped = false;
  private wakeUp: (() => void) | undefined = undefined;
  private running: Promise<void> | undefined = undefined;
  /** What a chunk has had lately. */
  private chunkItems = 1;
  private readonly shares = new LaneShares();
  /** Queues that had nothing when they were asked last, with the wait for something to come. */
  private readonly empty = new Map<TypeQueue, Promise<void>>();

  constructor(
    /** In different lanes. */
    private readonly queues: readonly TypeQueue[],
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
    await Promise.all(this.queues.map(({ queue }) => queue.stopWaiting()));
    await this.running;
    await Promise.all(this.empty.values());
  }

  private async run(): Promise<void> {
    while (!this.isStopped) {
      const wanted = this.setting.wanted();
      if (wanted <= 0) await this.asleep();
      else if (this.empty.size === this.queues.length) await Promise.race(this.empty.values());
      else await this.leaseFor(wanted);
    }
  }

  private asleep(): Promise<void> {
    return new Promise((resolve) => (this.wakeUp = resolve));
  }

  private async leaseFor(wanted: number): Promise<void> {
    const count = Math.min(MOST_AT_ONCE, Math.ceil(wanted / this.chunkItems));
    const sources = Array.from({ length: count }, () => this.nextSource());
    try {
      await Promise.all(sources.map((source) => this.leaseFrom(source)));
    } catch (error) {
      await this.rest(error);
    }
  }

  private nextSource(): TypeQueue {
    const ready = this.queues.filter((source) => !this.empty.has(source));
    if (ready.length === 1) return ready[0]!;
    const lane = this.shares.next((one) => ready.some((source) => source.lane === one));
    return ready.find((source) => source.lane === lane)!;
  }

  private async leaseFrom(source: TypeQueue): Promise<void> {
    const lease = await source.queue.lease(false);
    if (lease !== undefined) await this.take(source, lease);
    else if (!this.isStopped) this.waitFor(source);
  }

  /** Asks again once there may be something. */
  private waitFor(source: TypeQueue): void {
    if (this.empty.has(source)) return;
    const waiting = this.leaseWaiting(source).finally(() => this.empty.delete(source));
    this.empty.set(source, waiting);
  }

  private async leaseWaiting(source: TypeQueue): Promise<void> {
    try {
      const lease = await source.queue.lease(true);
      if (lease !== undefined) await this.take(source, lease);
    } catch (error) {
      await this.rest(error);
    }
  }

  private async take(source: TypeQueue, lease: Lease): Promise<void> {
    const items = await this.setting.take(source, lease);
    this.chunkItems += NEWS * (items - this.chunkItems);
  }

  private async rest(error: unknown): Promise<void> {
    if (this.isStopped) return;
    this.setting.troubled(error);
    await new Promise<void>((resolve) => this.setting.clock.setTimer(resolve, AGAIN_MS));
  }
}
