import type { Clock } from '../../core/clock.js';
import type { EventChannel } from '../../core/events.js';
import { burstOf } from '../../core/rate-limiter.js';
import { within } from '../../core/within.js';
import type { WorkerPool } from '../../core/worker-pool.js';
import type { Workload } from '../../core/workload.js';
import type { ChunkLimits } from './chunk-builder.js';
import { itemsOfChunk } from './chunk-format.js';
import type { ChunkIds } from './chunk-ids.js';
import { ChunkIntake } from './chunk-intake.js';
import type { NewChunk } from './chunk-queue.js';
import { ChunkSettlement } from './chunk-settlement.js';
import type { DurableOptions } from './durable-options.js';
import { GroupCommit } from './group-commit.js';
import { LeaseKeeper } from './lease-keeper.js';
import type { DeadInChunk, LeasedChunk } from './leased-chunk.js';
import type { LetterShelf } from './letter-shelf.js';
import { toDeadLetter, toStoredLetter } from './letters.js';
import { Redrives } from './redrives.js';
import { SharedPause } from './shared-pause.js';
import type { StoredHomes } from './stored-home.js';
import type { Store } from './store.js';
import type { SuspectGate } from './suspects.js';
import { TypeLeases } from './type-leases.js';
import { TypePulse } from './type-pulse.js';
import { TypeQueues } from './type-queues.js';
import type { TypeState } from './type-state.js';

/** How long the end of the process waits for what is yet to be written down, in milliseconds. */
export const WRITE_DOWN_MS = 5_000;

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
  readonly redrives: Redrives;
  private readonly settlement: ChunkSettlement;
  private readonly keeper: LeaseKeeper;
  private readonly intake: ChunkIntake;
  private readonly pulse: TypePulse;
  private readonly leases: TypeLeases;
  private readonly commits = new Map<number, GroupCommit>();
  private isBringing = false;
  private leasesOrdered = false;

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
    this.state = store.state(this.type, this.queues.names);
    this.pauses = new SharedPause(workload, this.state);
    // What is leased together starts together, as far as a rate limit goes.
    const most = rateLimit === undefined ? Infinity : burstOf(rateLimit);
    this.limits = { chunkSize: Math.min(options.chunkSize, most), maxChunkBytes: options.maxChunkBytes };
    this.settlement = new ChunkSettlement({
      clock,
      limits: this.limits,
      ids,
      records,
      bury: (dead, diedAtMs) => this.bury(dead, diedAtMs),
      chunkEnded: (chunk) => this.chunkEnded(chunk),
      claimsNext: (chunk) => this.leases.claimsNext(chunk),
      nextLeased: (chunk, lease) => this.leases.nextLeased(chunk, lease),
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
      handBack: (chunk) => this.handBack(chunk),
      note: (chunk, note) => this.settlement.note(chunk, note),
      divide: (chunk, into) => this.divide(chunk, into),
      troubled,
    });
    this.leases = new TypeLeases({
      clock,
      workload,
      open: (source, lease) => this.intake.open(source, lease),
      admit: (chunk) => {
        this.keeper.add(chunk);
        this.intake.admit(chunk);
      },
      troubled,
    });
    this.redrives = new Redrives({
      limits: this.limits,
      queues: this.queues,
      letters: this.letters,
      records,
      ids,
      clock,
      markOrdered: () => this.markOrdered(),
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
    this.leases.fromLanes(this.queues.lanes);
    this.pulse.start();
    this.redrives.start();
  }

  /** Has all processes lease items with order keys: some are about to be stored. Each time, as the store may have lost its data. */
  async markOrdered(): Promise<void> {
    await this.state.markOrdered();
    this.leaseOrdered();
  }

  /** Whether items with order keys are there, as far as the store knows. */
  async learnOrdered(isOrdered: boolean): Promise<void> {
    if (isOrdered) this.leaseOrdered();
    // The store has lost its data since, and items may have come between a mark and that loss.
    else if (this.leasesOrdered) await this.state.markOrdered();
  }

  private leaseOrdered(): void {
    if (!this.isBringing) return;
    this.leasesOrdered = true;
    for (const partition of this.queues.partitions) this.leases.fromPartition(partition);
  }

  /** More may be leased now. */
  pauseChanged(): void {
    this.leases.wake();
  }

  // ── what becomes of the items ─────────────────────────────────────────────

  private settled(chunk: LeasedChunk): void {
    if (!this.leases.has(chunk)) return;
    this.leases.workedOff(chunk);
    if (chunk.isLost) return this.chunkEnded(chunk);
    this.leases.claimNext(chunk);
    this.settlement.settle(chunk);
  }

  private divide(chunk: LeasedChunk, into: readonly NewChunk[]): void {
    this.release(chunk);
    this.settlement.divide(chunk, into);
  }

  private handBack(chunk: LeasedChunk): void {
    if (!this.leases.has(chunk)) return;
    this.release(chunk);
    this.settlement.handBack(chunk);
  }

  private release(chunk: LeasedChunk): void {
    chunk.release();
    this.leases.workedOff(chunk);
  }

  private chunkEnded(chunk: LeasedChunk): void {
    this.keeper.remove(chunk);
    this.leases.ended(chunk);
  }

  private renewed(chunks: readonly LeasedChunk[]): void {
    for (const chunk of chunks) this.settlement.settlePart(chunk);
    this.intake.passTurns();
    void this.intake.dropCancelled(chunks).catch(this.setting.troubled);
  }

  private leaseLost(chunk: LeasedChunk, unheardMs: number | undefined): void {
    chunk.isLost = true;
    this.keeper.remove(chunk);
    const { type } = this;
    this.setting.events.emit('leaseLost', { type, items: chunk.size, unheardMs });
    if (chunk.open > 0) this.intake.letGoAll(chunk);
  }

  /** Keeps dead items, once for the same moment, and pauses the type when they are too many. @returns what tells of them */
  async bury(dead: readonly DeadInChunk[], diedAtMs: number): Promise<() => void> {
    const { shelved, count } = await this.letters.add(
      dead.map((item) => toStoredLetter(item, diedAtMs, this.queues.nameOf(item.queue))),
    );
    if (count >= this.workload.options.maxDeadLetters) await this.pauses.pause('dead-letters-full');
    const errors = new Map(dead.map(({ job, index, error }) => [`${job.id}:${index}`, error]));
    return () => {
      for (const letter of shelved) {
        const error = errors.get(letter.id);
        this.setting.events.emit('deadLetter', toDeadLetter(this.type, letter, error));
      }
    };
  }

  async resumeWhenRoomForDead(): Promise<void> {
    if ((await this.letters.count()) >= this.workload.options.maxDeadLetters) return;
    // What this process knows of the pause may be old.
    await this.pauses.resume('dead-letters-full');
    this.pauseChanged();
  }

  /** Makes due what awaits a retry, here and in the store. @returns how many items */
  async releaseRetries(): Promise<number> {
    const released = await Promise.all(this.queues.all.map(({ queue }) => queue.releaseRetries()));
    return released.flat().reduce((sum, id) => sum + itemsOfChunk(id), this.intake.releaseRetries());
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
    this.redrives.stop();
    this.intake.stop();
    await this.leases.stop();
  }

  /** All items have been settled or handed back: writes down what became of them, as far as the store answers in time. */
  async close(): Promise<void> {
    const written = this.intake.finish().then(() => this.settlement.finish());
    await within(this.setting.clock, WRITE_DOWN_MS, written);
    this.settlement.giveUp();
    this.keeper.stop();
    await this.state.leave(this.setting.replicaId);
  }
}
