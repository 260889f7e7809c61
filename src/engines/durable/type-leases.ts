import type { Clock } from '../../core/clock.js';
import type { Workload } from '../../core/workload.js';
import type { Lease } from './chunk-queue.js';
import { itemsToHold } from './lease-ahead.js';
import { LeaseLoop } from './lease-loop.js';
import type { LeasedChunk } from './leased-chunk.js';
import { RateOfItems } from './rate-of-items.js';
import type { TypeQueue } from './type-queues.js';

/** What the leases of a worker type work with. */
export interface TypeLeasesSetting {
  readonly clock: Clock;
  readonly workload: Workload;
  /** Makes a chunk of the lease; undefined when this version can't read it. */
  readonly open: (source: TypeQueue, lease: Lease) => LeasedChunk | undefined;
  /** Has the items of a chunk worked on that is held from now on. */
  readonly admit: (chunk: LeasedChunk) => void;
  readonly troubled: (error: unknown) => void;
}

/** What this process has leased of one worker type: leases more as its workers get on, and never much more than they need. */
export class TypeLeases {
  private readonly loops = new Map<TypeQueue, LeaseLoop>();
  /** Leased items that have no outcome yet, by the queue that they are of. */
  private readonly held = new Map<TypeQueue, number>();
  private heldOfLanes = 0;
  private readonly sources = new Map<LeasedChunk, TypeQueue>();
  /** Chunks with whose end the next one of their queue is to be leased. */
  private readonly claims = new Set<LeasedChunk>();
  private readonly rate: RateOfItems;
  private isStopped = false;

  constructor(private readonly setting: TypeLeasesSetting) {
    this.rate = new RateOfItems(setting.clock);
  }

  /** Leases from the lanes, by their shares. */
  fromLanes(lanes: readonly TypeQueue[]): void {
    this.start(lanes, () => this.wantedOfLanes());
  }

  /** Leases from a queue whose chunks are worked on one after another. */
  fromPartition(partition: TypeQueue): void {
    this.start([partition], () => this.wantedOfPartition(partition));
  }

  /** More may be leased now. */
  wake(): void {
    for (const loop of new Set(this.loops.values())) loop.wake();
  }

  /** Leases no more. */
  async stop(): Promise<void> {
    this.isStopped = true;
    await Promise.all([...new Set(this.loops.values())].map((loop) => loop.stop()));
  }

  private start(sources: readonly TypeQueue[], wanted: () => number): void {
    if (this.isStopped || this.loops.has(sources[0]!)) return;
    const { clock, troubled } = this.setting;
    const take = (source: TypeQueue, lease: Lease) => this.take(source, lease);
    const loop = new LeaseLoop(sources, { clock, wanted, take, troubled });
    for (const source of sources) {
      this.loops.set(source, loop);
      source.queue.watchLapses();
    }
    loop.start();
  }

  private wantedOfLanes(): number {
    const { isPaused, options, itemsAtOnce } = this.setting.workload;
    if (isPaused) return 0;
    return itemsToHold(this.rate.perMs, options.maxConcurrency, itemsAtOnce) - this.heldOfLanes;
  }

  private wantedOfPartition(partition: TypeQueue): number {
    return this.setting.workload.isPaused ? 0 : 1 - (this.held.get(partition) ?? 0);
  }

  private take(source: TypeQueue, lease: Lease): number {
    const chunk = this.setting.open(source, lease);
    if (chunk === undefined) return 1;
    this.sources.set(chunk, source);
    this.hold(source, chunk.size);
    this.setting.admit(chunk);
    return chunk.size;
  }

  private hold(source: TypeQueue, items: number): void {
    this.held.set(source, (this.held.get(source) ?? 0) + items);
    if (source.isOrdered) return;
    this.heldOfLanes += items;
    this.rate.hold(this.heldOfLanes);
  }

  /** The workers have done with the chunk: others may come in its place. To be called once, before `ended`. */
  workedOff(chunk: LeasedChunk): void {
    const source = this.sources.get(chunk)!;
    if (!source.isOrdered) this.rate.count(chunk.size);
    this.hold(source, -chunk.size);
  }

  /** The end of a chunk is about to be told to the store, and the next one may come with the answer. */
  claimNext(chunk: LeasedChunk): void {
    const source = this.sources.get(chunk)!;
    if (this.loops.get(source)!.claim(source)) this.claims.add(chunk);
  }

  /** Whether the next chunk is to be leased with the end of this one. */
  claimsNext(chunk: LeasedChunk): boolean {
    return !this.isStopped && this.claims.has(chunk);
  }

  /** @param lease what was leased with the end of the chunk; undefined: there was nothing */
  nextLeased(chunk: LeasedChunk, lease: Lease | undefined): void {
    const source = this.sources.get(chunk)!;
    if (this.claims.delete(chunk)) this.loops.get(source)!.claimed(source, lease ?? 'nothing');
  }

  /** The chunk is no more of this process. */
  ended(chunk: LeasedChunk): void {
    const source = this.sources.get(chunk);
    if (source === undefined) return;
    this.sources.delete(chunk);
    const loop = this.loops.get(source)!;
    if (this.claims.delete(chunk)) loop.claimed(source, 'not-asked');
    else loop.wake();
  }

  /** Whether the chunk is of this process. */
  has(chunk: LeasedChunk): boolean {
    return this.sources.has(chunk);
  }
}
