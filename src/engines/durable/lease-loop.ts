import type { Clock, Timer } from '../../core/clock.js';
import { LaneShares } from '../../core/lane-shares.js';
import type { Lease } from './chunk-queue.js';
import type { TypeQueue } from './type-queues.js';

/** Leases that are asked for at a time, when many items are wanted: each is answered only after a way to the store and back. */
const MOST_AT_ONCE = 16;

/** How long to wait before a store that did not answer is asked again, in milliseconds. */
const AGAIN_MS = 500;

/** How much the last chunk weighs in what a chunk has. */
const NEWS = 0.25;

/** What a lease loop works for. */
export interface LeaseLoopSetting {
  readonly clock: Clock;
  /** How many items are wanted now, beside those that are held; 0 or less: none. */
  wanted(): number;
  /** Takes a leased chunk, which is held from now on. @returns how many items it has */
  take(source: TypeQueue, lease: Lease): number;
  readonly troubled: (error: unknown) => void;
}

/** Leases chunks of one queue, or of the lanes of a worker type by their shares, as the workers need them. */
export class LeaseLoop {
  private state: 'idle' | 'running' | 'resting' | 'stopped' = 'idle';
  /** Leases that have been asked for, or are going to be with something else that is told to the store. */
  private asked = 0;
  private readonly underWay = new Set<Promise<void>>();
  private restTimer: Timer | undefined = undefined;
  /** What a chunk has had lately. */
  private chunkItems = 1;
  private readonly shares = new LaneShares();
  /** Queues that had nothing when they were asked last: it is waited for something to come. */
  private readonly empty = new Set<TypeQueue>();

  constructor(
    /** In different lanes. */
    private readonly queues: readonly TypeQueue[],
    private readonly setting: LeaseLoopSetting,
  ) {}

  start(): void {
    if (this.state !== 'idle') return;
    this.state = 'running';
    this.wake();
  }

  /** More may be wanted now. */
  wake(): void {
    while (this.asksForMore) this.run(this.leaseFrom(this.nextSource()));
  }

  /** Leases no more. */
  async stop(): Promise<void> {
    this.state = 'stopped';
    this.restTimer?.cancel();
    await Promise.all(this.queues.map(({ queue }) => queue.stopWaiting()));
    await Promise.all(this.underWay);
  }

  /**
   * Whether the next chunk of the queue is to be leased together with what is told to the store of another one, which saves
   * it a way. `claimed` is to be called with what came of it.
   */
  claim(source: TypeQueue): boolean {
    if (!this.asksForMore) return false;
    const next = this.nextSource();
    if (next !== source) {
      this.run(this.leaseFrom(next));
      return false;
    }
    this.asked++;
    return true;
  }

  /** @param answer the lease, that there was nothing to lease, or that it has not been asked for */
  claimed(source: TypeQueue, answer: Lease | 'nothing' | 'not-asked'): void {
    this.asked--;
    if (answer === 'nothing') this.waitFor(source);
    else if (answer !== 'not-asked') this.take(source, answer);
    this.wake();
  }

  private get asksForMore(): boolean {
    if (this.state !== 'running' || this.asked >= MOST_AT_ONCE) return false;
    if (this.empty.size === this.queues.length) return false;
    return this.setting.wanted() > this.asked * this.chunkItems;
  }

  private nextSource(): TypeQueue {
    const ready = this.queues.filter((source) => !this.empty.has(source));
    if (ready.length === 1) return ready[0]!;
    const lane = this.shares.next((one) => ready.some((source) => source.lane === one));
    return ready.find((source) => source.lane === lane)!;
  }

  private run(work: Promise<void>): void {
    const done = work.finally(() => {
      this.underWay.delete(done);
      this.wake();
    });
    this.underWay.add(done);
  }

  private async leaseFrom(source: TypeQueue): Promise<void> {
    this.asked++;
    try {
      const lease = await source.queue.lease(false);
      if (lease === undefined) this.waitFor(source);
      else this.take(source, lease);
    } catch (error) {
      this.rest(error);
    } finally {
      this.asked--;
    }
  }

  /** Asks again once there may be something. */
  private waitFor(source: TypeQueue): void {
    if (this.state === 'stopped' || this.empty.has(source)) return;
    this.empty.add(source);
    this.run(this.leaseWaiting(source));
  }

  private async leaseWaiting(source: TypeQueue): Promise<void> {
    try {
      const lease = await source.queue.lease(true);
      if (lease !== undefined) this.take(source, lease);
    } catch (error) {
      this.rest(error);
    } finally {
      this.empty.delete(source);
    }
  }

  private take(source: TypeQueue, lease: Lease): void {
    const items = this.setting.take(source, lease);
    this.chunkItems += NEWS * (items - this.chunkItems);
  }

  private rest(error: unknown): void {
    if (this.state === 'stopped') return;
    this.setting.troubled(error);
    if (this.state === 'resting') return;
    this.state = 'resting';
    this.restTimer = this.setting.clock.setTimer(() => {
      this.state = 'running';
      this.wake();
    }, AGAIN_MS);
  }
}
