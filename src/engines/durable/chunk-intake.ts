import type { Clock } from '../../core/clock.js';
import type { Job } from '../../core/job.js';
import type { WorkerPool } from '../../core/worker-pool.js';
import { burstOf } from '../../core/rate-limiter.js';
import type { Workload } from '../../core/workload.js';
import { CancelledJobs } from './cancelled-jobs.js';
import { readChunk } from './chunk-format.js';
import type { ChunkIds } from './chunk-ids.js';
import type { Lease, NewChunk } from './chunk-queue.js';
import { ProcessDiedError, UnreadableChunkError } from './durable-errors.js';
import type { JobRecords } from './job-records.js';
import type { LeaseKeeper } from './lease-keeper.js';
import { LeasedChunk } from './leased-chunk.js';
import type { LeasedRun } from './leased-run.js';
import { splitSuspect } from './split-suspect.js';
import type { StoredHomes } from './stored-home.js';
import { deathsOf, type SuspectGate } from './suspects.js';
import type { TypeQueue } from './type-queues.js';
import type { TypeState } from './type-state.js';

/** For how long a chunk is left to others that this version can't read, in milliseconds. */
const UNREADABLE_FOR_MS = 10_000;

/** How often the process of a single item may die before the item is suspected: mostly it was killed, and the item is innocent. */
const FORGIVEN_LAPSES = 1;

/** What an intake works with. */
export interface IntakeSetting {
  readonly workload: Workload;
  readonly homes: StoredHomes;
  readonly state: TypeState;
  readonly records: JobRecords;
  readonly keeper: LeaseKeeper;
  readonly clock: Clock;
  readonly pool: WorkerPool;
  readonly ids: ChunkIds;
  readonly suspects: SuspectGate;
  readonly maxDeaths: number;
  /** All items of the chunk have an outcome. */
  readonly settled: (chunk: LeasedChunk) => void;
  /** The chunk is no more of this process, without having been settled. */
  readonly gone: (chunk: LeasedChunk) => void;
  /** The items of the chunk go on in others. */
  readonly divide: (chunk: LeasedChunk, into: readonly NewChunk[]) => void;
  readonly troubled: (error: unknown) => void;
}

/** Brings leased chunks to the workers of this process. */
export class ChunkIntake {
  /** Chunks whose item may have killed a process. */
  private readonly alone = new Set<LeasedChunk>();
  private readonly cancelledJobs: CancelledJobs;
  /** Ends the waits for the rate limit. */
  private readonly waits = new Set<() => void>();
  private isStopped = false;

  constructor(private readonly setting: IntakeSetting) {
    this.cancelledJobs = new CancelledJobs(setting.records, setting.clock);
  }

  /** @returns the chunk, or undefined when this version can't read it: it is left to others then */
  open(source: TypeQueue, lease: Lease): LeasedChunk | undefined {
    try {
      const content = readChunk(lease.chunkId, lease.content);
      return new LeasedChunk(
        source.queue,
        lease,
        content,
        source.isOrdered,
        (idPrefix, sequence, run) => this.jobOf(source, idPrefix, sequence, run),
        (chunk) => this.settled(chunk),
      );
    } catch (error) {
      if (!(error instanceof UnreadableChunkError)) throw error;
      const { clock, troubled } = this.setting;
      troubled(error);
      source.queue.postpone(lease, clock.wallNow() + UNREADABLE_FOR_MS).catch(troubled);
      return undefined;
    }
  }

  private jobOf({ lane }: TypeQueue, idPrefix: string, sequence: number, run: LeasedRun): Job {
    const job = this.setting.homes.make(idPrefix, sequence, run);
    job.accepted = run.index;
    job.lane = lane;
    return job;
  }

  private settled(chunk: LeasedChunk): void {
    if (this.alone.delete(chunk)) this.setting.suspects.leave();
    this.setting.settled(chunk);
  }

  /** Has the items worked on; at once, where nothing has to be asked of the store before. */
  admit(chunk: LeasedChunk): void {
    const { lapses } = chunk.lease;
    // Its process died between the last note and the end.
    if (chunk.open === 0) this.settled(chunk);
    else if (lapses > 0 && chunk.size > 1) this.setting.divide(chunk, splitSuspect(chunk, this.setting.ids));
    else if (lapses > FORGIVEN_LAPSES || chunk.content.heads?.[0]?.s === 1) void this.admitAlone(chunk);
    else if (this.mayStart(chunk)) this.admitRuns(chunk);
    else this.orGiveBack(chunk, this.admitAll(chunk));
  }

  /** What could not be looked at is not worked on here. */
  private orGiveBack(chunk: LeasedChunk, work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.setting.troubled(error);
      this.giveBack(chunk);
    });
  }

  /** None of its items has been started. */
  private giveBack(chunk: LeasedChunk): void {
    const { troubled, gone } = this.setting;
    gone(chunk);
    chunk.queue.giveBack(chunk.lease).catch(troubled);
  }

  /** Nothing more is started: what waits for the rate limit goes back. */
  stop(): void {
    this.isStopped = true;
    for (const wake of this.waits) wake();
    this.waits.clear();
  }

  private mayStart(chunk: LeasedChunk): boolean {
    if (this.setting.workload.options.rateLimit !== undefined) return false;
    return chunk.runs.every(
      ({ heedsCancel, job }) => !heedsCancel || this.cancelledJobs.lately(job.id) === false,
    );
  }

  private async admitAll(chunk: LeasedChunk): Promise<void> {
    await this.dropCancelled([chunk]);
    await this.waitForRate(chunk.open);
    if (this.isStopped) this.giveBack(chunk);
    else this.admitRuns(chunk);
  }

  private admitRuns(chunk: LeasedChunk): void {
    if (chunk.isLost) return;
    for (const run of chunk.runs) if (!run.job.isCancelled) this.admitRun(chunk, run);
  }

  private admitRun(chunk: LeasedChunk, run: LeasedRun): void {
    const start = run.placeOf(run.index);
    run.isAdmitted = true;
    for (const [from, to] of chunk.openRanges(start, start + run.count)) {
      run.job.accepted = run.index + from - start;
      const attempts = this.attemptsOf(chunk, from, to - from);
      this.setting.workload.admitLeased(run.job, chunk.content.items.slice(from, to), attempts);
    }
  }

  /** Undefined where none of the items has any behind it. */
  private attemptsOf(
    { content: { heads }, lease }: Pick<LeasedChunk, 'content' | 'lease'>,
    from: number,
    count: number,
  ): number[] | undefined {
    const noted = lease.noted?.attempts ?? 0;
    if (heads === undefined && noted === 0) return undefined;
    return Array.from({ length: count }, (_, place) => Math.max(noted, heads?.[from + place]?.a ?? 0));
  }

  private async waitForRate(items: number): Promise<void> {
    const { workload, state, clock } = this.setting;
    const { rateLimit } = workload.options;
    if (rateLimit === undefined || items === 0) return;
    const { max, durationMs } = rateLimit;
    const waitMs = await state.reserveStarts(items, max, durationMs, burstOf({ max }));
    if (waitMs > 0 && !this.isStopped) await this.wait(clock, waitMs);
  }

  private wait(clock: Clock, waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = clock.setTimer(() => {
        this.waits.delete(wake);
        resolve();
      }, waitMs);
      const wake = (): void => {
        timer.cancel();
        resolve();
      };
      this.waits.add(wake);
    });
  }

  // ── items that may have killed a process ──────────────────────────────────

  private async admitAlone(chunk: LeasedChunk): Promise<void> {
    const { suspects, troubled } = this.setting;
    await suspects.enter();
    // It may have been cancelled while it stood in line.
    if (chunk.isLost || chunk.open === 0) return suspects.leave();
    if (this.setting.workload.isPaused) {
      // It would keep the items of other types from their turns.
      suspects.leave();
      return this.giveBack(chunk);
    }
    this.alone.add(chunk);
    try {
      await this.tryAlone(chunk);
    } catch (error) {
      // Its lease runs out, and it is tried again.
      troubled(error);
      if (this.alone.delete(chunk)) suspects.leave();
      this.setting.gone(chunk);
    }
  }

  private async tryAlone(chunk: LeasedChunk): Promise<void> {
    const { lease, queue } = chunk;
    const deaths = deathsOf(lease);
    if (deaths >= this.setting.maxDeaths) return this.buryUntried(chunk, deaths);
    await queue.note(lease, { deaths, attempts: lease.noted?.attempts ?? 0, startedUnder: lease.number });
    await this.admitAll(chunk);
  }

  private buryUntried(chunk: LeasedChunk, deaths: number): void {
    const { job, index, isTracked } = chunk.runs[0]!;
    const [payload] = chunk.content.items;
    const [attempts] = this.attemptsOf(chunk, 0, 1) ?? [0];
    const error = new ProcessDiedError(deaths);
    chunk.died(0, { job, index, payload, attempts: attempts!, reason: 'process-died', error, isTracked });
  }

  // ── cancel, loss ──────────────────────────────────────────────────────────

  /** Drops the items of chunks whose jobs have been cancelled, by whatever process. */
  async dropCancelled(chunks: readonly LeasedChunk[]): Promise<void> {
    const runs = chunks.flatMap((chunk) => chunk.runs.filter(({ heedsCancel }) => heedsCancel));
    const ids = [...new Set(runs.map(({ job }) => job.id))];
    if (ids.length === 0) return;
    const cancelled = await this.cancelledJobs.among(ids);
    for (const run of runs) if (cancelled.has(run.job.id)) this.cancel(run);
  }

  /** Drops what is leased of a job. */
  dropJob(jobId: string): void {
    this.cancelledJobs.cancelledHere(jobId);
    for (const chunk of this.setting.keeper.all) {
      for (const run of chunk.runs) if (run.heedsCancel && run.job.id === jobId) this.cancel(run);
    }
  }

  private cancel(run: LeasedRun): void {
    const { job } = run;
    if (job.isCancelled) return;
    job.isCancelled = true;
    this.letGo(run);
    this.setting.pool.abortJob(job);
  }

  /** Items of a chunk that no worker holds are not to be started any more: its lease is lost. */
  letGoAll(chunk: LeasedChunk): void {
    for (const run of chunk.runs) this.letGo(run);
  }

  private letGo(run: LeasedRun): void {
    if (run.isAdmitted) this.setting.workload.dropJob(run.job);
    else run.dropUnadmitted();
  }
}
