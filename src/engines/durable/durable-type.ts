import type { Clock } from '../../core/clock.js';
import type { EventChannel } from '../../core/events.js';
import { burstOf } from '../../core/rate-limiter.js';
import type { WorkerPool } from '../../core/worker-pool.js';
import type { Workload } from '../../core/workload.js';
import type { ChunkLimits } from './chunk-builder.js';
import { itemsOfChunk } from './chunk-format.js';
import type { ChunkIds } from './chunk-ids.js';
import { ChunkIntake } from './chunk-intake.js';
import type { Lease } from './chunk-queue.js';
import { ChunkSettlement } from './chunk-settlement.js';
import type { DurableOptions } from './durable-options.js';
import { GroupCommit } from './group-commit.js';
import { itemsToHold } from './lease-ahead.js';
import { LeaseKeeper } from './lease-keeper.js';
import { LeaseLoop } from './lease-loop.js';
import type { DeadInChunk, LeasedChunk } from './leased-chunk.js';
import type { LetterShelf } from './letter-shelf.js';
import { toDeadLetter, toStoredLetter } from './letters.js';
import { RateOfItems } from './rate-of-items.js';
import { SharedPause } from './shared-pause.js';
import type { StoredHomes } from './stored-home.js';
import type { Store } from './store.js';
import type { SuspectGate } from './suspects.js';
import { TypePulse } from './type-pulse.js';
import { TypeQueues, type TypeQueue } from './type-queues.js';
import type { TypeState } from './type-state.js';

/** What the worker types of a durable engine share. */
export interface DurableSetting {
  readonly options: DurableOptions;
  readonly store: Store;
  readonly clock: Clock;
  readonly events: EventChannel;
  readonly pool: WorkerPool;
  readonly ids: ChunkIds;
  readonly suspects: SuspectGate;
  readonly replicaId: string;
  /** Items of these jobs have ended in this process. */
  readonly recordsRaised: (jobIds: readonly string[]) => void;
  readonly troubled: (error: unknown) => void;
}

/** One worker type on a durable engine: leases its items to this process, and has written down what becomes of them. */
export class DurableType {
  readonly type: string;
  readonly queues: TypeQueues;
  readonly letters: LetterShelf;
  readonly state: TypeState;
  readonly limits: ChunkLimits;
  readonly pauses: SharedPause;
  private readonly settlement: ChunkSettlement;
  private readonly keeper: LeaseKeeper;
  private readonly intake: ChunkIntake;
  private readonly pulse: TypePulse;
  private readonly rate: RateOfItems;
  private readonly loops = new Map<TypeQueue, LeaseLoop>();
  private readonly commits = new Map<number, GroupCommit>();
  /** Leased items that have no outcome yet, by the queue that they are of. */
  private readonly held = new Map<TypeQueue, number>();
  private readonly sources = new Map<LeasedChunk, TypeQueue>();
  private isBringing = false;
  private isOrdered = false;

  constructor(
    readonly workload: Workload,
    homes: StoredHomes,
    private readonly setting: DurableSetting,
  ) {
    const { store, clock, options, pool, ids, suspects, troubled } = setting;
    const { priorities, rateLimit } = workload.options;
    const { records } = store;
    this.type = workload.type;
    this.queues = new TypeQueues(this.type, priorities, options.partitions, store, {
      troubled,
      lapsed: () => undefined,
    });
    this.letters = store.letters(this.type);
    this.state = store.state(this.type);
    this.pauses = new SharedPause(workload, this.queues, this.state);
    this.rate = new RateOfItems(clock);
    // What is leased together starts together, as far as a rate limit goes.
    const most = rateLimit === undefined ? Infinity : burstOf(rateLimit);
    this.limits = { chunkSize: Math.min(options.chunkSize, most), maxChunkBytes: options.maxChunkBytes };
    this.settlement = new ChunkSettlement({
      clock,
      limits: this.limits,
      ids,
      records,
      bury: (dead) => this.bury(dead),
      chunkEnded: (chunk) => this.keeper.remove(chunk),
      leaseLost: (chunk) => this.leaseLost(chunk, undefined),
      recordsRaised: setting.recordsRaised,
      troubled,
    });
    this.keeper = new LeaseKeeper(options.leaseMs, clock, {
      lost: (chunk, unheardMs) => this.leaseLost(chunk, unheardMs),
      renewed: (chunks) => this.renewed(chunks),
      troubled,
    });
    this.intake = new ChunkIntake({
      workload,
      homes,
      state: this.state,
      records,
      keeper: this.keeper,
      clock,
      pool,
      ids,
      suspects,
      maxDeaths: options.maxDeaths,
      settled: (chunk) => this.settled(chunk),
      gone: (chunk) => this.gone(chunk),
      leaseLost: (chunk) => this.leaseLost(chunk, undefined),
      troubled,
    });
    this.pulse = new TypePulse(this, setting);
  }

  /** What the single items of a lane share their chunks by. */
  commitOf(lane: number): GroupCommit {
    const known = this.commits.get(lane);
    if (known !== undefined) return known;
    const commit = new GroupCommit(this.queues.ofLane(lane), this.limits, this.setting.ids);
    this.commits.set(lane, commit);
    return commit;
  }

  // ── leasing ───────────────────────────────────────────────────────────────

  /** Begins to lease items. */
  bringWork(): void {
    this.isBringing = true;
    this.leaseFrom(this.queues.lanes, () => this.wantedOfLanes());
    this.pulse.start();
  }

  /** Has all processes lease items with order keys: some are about to be stored. */
  async markOrdered(): Promise<void> {
    if (this.isOrdered) return;
    await this.state.markOrdered();
    this.isOrdered = true;
    this.leaseOrdered();
  }

  /** Items with order keys are there. */
  leaseOrdered(): void {
    if (!this.isBringing) return;
    for (const partition of this.queues.partitions) {
      this.leaseFrom([partition], () => this.wantedOfPartition(partition));
    }
  }

  private leaseFrom(sources: readonly TypeQueue[], wanted: () => number): void {
    if (this.loops.has(sources[0]!)) return;
    const { clock, troubled } = this.setting;
    const take = (source: TypeQueue, lease: Lease) => this.take(source, lease);
    const loop = new LeaseLoop(sources, { clock, wanted, take, troubled });
    for (const source of sources) {
      this.loops.set(source, loop);
      if (source.isOrdered) void source.queue.limitLeases(1).catch(troubled);
      source.queue.watchLapses();
    }
    loop.start();
  }

  private wantedOfLanes(): number {
    const { workload, rate } = this;
    if (workload.isPaused) return 0;
    const held = this.queues.lanes.reduce((sum, lane) => sum + this.heldOf(lane), 0);
    return itemsToHold(rate.perMs, workload.options.maxConcurrency, workload.itemsAtOnce) - held;
  }

  private wantedOfPartition(partition: TypeQueue): number {
    return this.workload.isPaused ? 0 : 1 - this.heldOf(partition);
  }

  private heldOf(source: TypeQueue): number {
    return this.held.get(source) ?? 0;
  }

  private async take(source: TypeQueue, lease: Lease): Promise<number> {
    const chunk = await this.intake.open(source, lease);
    if (chunk === undefined) return 1;
    this.sources.set(chunk, source);
    this.hold(source, chunk.size);
    this.keeper.add(chunk);
    await this.intake.admit(chunk);
    return chunk.size;
  }

  private hold(source: TypeQueue, items: number): void {
    this.held.set(source, this.heldOf(source) + items);
  }

  /** The workers have done with the chunk. */
  private letGoOf(chunk: LeasedChunk): void {
    const source = this.sources.get(chunk);
    if (source === undefined) return;
    this.sources.delete(chunk);
    this.hold(source, -chunk.size);
    this.loops.get(source)!.wake();
  }

  /** More may be leased now. */
  pauseChanged(): void {
    for (const loop of new Set(this.loops.values())) loop.wake();
  }

  // ── what becomes of the items ─────────────────────────────────────────────

  private settled(chunk: LeasedChunk): void {
    this.rate.count(chunk.size);
    this.letGoOf(chunk);
    if (chunk.isLost) this.keeper.remove(chunk);
    else this.settlement.settle(chunk);
  }

  private gone(chunk: LeasedChunk): void {
    this.letGoOf(chunk);
    this.keeper.remove(chunk);
  }

  private renewed(chunks: readonly LeasedChunk[]): void {
    for (const chunk of chunks) this.settlement.settlePart(chunk);
    void this.intake.dropCancelled(chunks).catch(this.setting.troubled);
  }

  private leaseLost(chunk: LeasedChunk, unheardMs: number | undefined): void {
    chunk.isLost = true;
    const { type } = this;
    this.setting.events.emit('leaseLost', { type, items: chunk.size, unheardMs });
    if (chunk.open > 0) this.intake.letGoAll(chunk);
  }

  /** Keeps dead items, and pauses the type when they are too many. */
  async bury(dead: readonly DeadInChunk[]): Promise<void> {
    const { clock, events } = this.setting;
    const diedAtMs = clock.wallNow();
    const { shelved, count } = await this.letters.add(dead.map((item) => toStoredLetter(item, diedAtMs)));
    const errors = new Map(dead.map(({ job, index, error }) => [`${job.id}:${index}`, error]));
    for (const letter of shelved) {
      events.emit('deadLetter', toDeadLetter(this.type, letter, errors.get(letter.id)));
    }
    if (count >= this.workload.options.maxDeadLetters) await this.pauses.pause('dead-letters-full');
  }

  async resumeWhenRoomForDead(): Promise<void> {
    const isFull = (await this.letters.count()) >= this.workload.options.maxDeadLetters;
    if (isFull || !this.workload.isPausedBy('dead-letters-full')) return;
    await this.pauses.resume('dead-letters-full');
    this.pauseChanged();
  }

  /** Makes due what awaits a retry, here and in the store. @returns how many items */
  async releaseRetries(): Promise<number> {
    const released = await Promise.all(this.queues.all.map(({ queue }) => queue.releaseRetries()));
    return released.flat().reduce((sum, id) => sum + itemsOfChunk(id), 0);
  }

  /** Whether no item is left that has not ended, over all processes. */
  async isEmpty(): Promise<boolean> {
    const counts = await Promise.all(this.queues.all.map(({ queue }) => queue.counts()));
    return counts.every(({ waiting, delayed, active }) => waiting + delayed + active === 0);
  }

  /** Drops what this process has leased of a job. */
  dropJob(jobId: string): void {
    this.intake.dropJob(jobId);
  }

  // ── end ───────────────────────────────────────────────────────────────────

  async stopBringing(): Promise<void> {
    this.isBringing = false;
    this.pulse.stop();
    await Promise.all([...new Set(this.loops.values())].map((loop) => loop.stop()));
  }

  /** All items have been settled or handed back: writes down what became of them. */
  async close(): Promise<void> {
    await this.settlement.finish();
    await this.state.leave(this.setting.replicaId);
  }
}
