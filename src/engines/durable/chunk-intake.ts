import type { Clock } from '../../core/clock.js';
import type { Job } from '../../core/job.js';
import type { WorkerPool } from '../../core/worker-pool.js';
import { burstOf } from '../../core/rate-limiter.js';
import type { Workload } from '../../core/workload.js';
import { CancelledJobs } from './cancelled-jobs.js';
import { readChunk } from './chunk-format.js';
import type { ChunkIds } from './chunk-ids.js';
import type { Lease, LeaseNote, NewChunk } from './chunk-queue.js';
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
import { Waits } from './waits.js';

/** For how long a chunk is left to others that this version can't read, in milliseconds. */
const UNREADABLE_FOR_MS = 10_000;

/** How long a chunk is kept of which the store refused to tell something, so that it is not leased again and again, in milliseconds. */
const REFUSED_FOR_MS = 500;

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
  /** Gives a chunk back of which nothing has been started. */
  readonly handBack: (chunk: LeasedChunk) => void;
  /** Keeps a note with the chunk. @returns whether its lease holds */
  readonly note: (chunk: LeasedChunk, note: LeaseNote) => Promise<boolean>;
  /** The items of the chunk go on in others. */
  readonly divide: (chunk: LeasedChunk, into: readonly NewChunk[]) => void;
  readonly troubled: (error: unknown) => void;
}

/** Brings leased chunks to the workers of this process. */
export class ChunkIntake {
  /** Chunks whose item may have killed a process. */
  private readonly alone = new Set<LeasedChunk>();
  private readonly cancelledJobs: CancelledJobs;
  /** Waits for the rate limit. */
  private readonly starts: Waits;
  /** Waits of items in their order for their next attempts. */
  private readonly retries: Waits;
  private readonly underWay = new Set<Promise<void>>();
  private isStopped = false;

  constructor(private readonly setting: IntakeSetting) {
    const { records, clock } = setting;
    this.cancelledJobs = new CancelledJobs(records, clock);
    this.starts = new Waits(clock);
    this.retries = new Waits(clock);
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
    this.endTurn(chunk);
    if (chunk.waitsHere && !this.isStopped && !chunk.isLost) this.orHandBack(chunk, this.retryHere(chunk));
    else this.setting.settled(chunk);
  }

  /** Has the items worked on; at once, where nothing has to be asked of the store before. */
  admit(chunk: LeasedChunk): void {
    const { lapses } = chunk.lease;
    // Its process died between the last note and the end.
    if (chunk.open === 0) this.settled(chunk);
    else if (lapses > 0 && chunk.size > 1) this.setting.divide(chunk, splitSuspect(chunk, this.setting.ids));
    else this.bring(chunk);
  }

  private bring(chunk: LeasedChunk): void {
    if (isSuspect(chunk)) this.orHandBack(chunk, this.admitAlone(chunk));
    else if (this.mayStart(chunk)) this.admitRuns(chunk);
    else this.orHandBack(chunk, this.admitAll(chunk));
  }

  /** What could not be looked at is not worked on here. */
  private orHandBack(chunk: LeasedChunk, work: Promise<void>): void {
    const done = work
      .catch(async (error: unknown) => {
        this.setting.troubled(error);
        if (!this.isStopped) await this.starts.wait(REFUSED_FOR_MS);
        this.handBack(chunk);
      })
      .finally(() => this.underWay.delete(done));
    this.underWay.add(done);
  }

  /** None of its items has been started. */
  private handBack(chunk: LeasedChunk): void {
    this.endTurn(chunk);
    if (chunk.open > 0) this.setting.handBack(chunk);
  }

  /** Nothing more is brought: what waits goes back. */
  stop(): void {
    this.isStopped = true;
    this.starts.endAll();
    this.retries.endAll();
  }

  /** To be called when nothing runs any more. Resolves when what was on its way to the workers has gone back. */
  async finish(): Promise<void> {
    while (this.underWay.size > 0) await Promise.all(this.underWay);
  }

  /** Lets items run that wait here for their next attempts. @returns how many */
  releaseRetries(): number {
    return this.retries.endAll();
  }

  private mayStart(chunk: LeasedChunk): boolean {
    if (this.setting.workload.options.rateLimit !== undefined || chunk.noted?.dueAtMs !== undefined)
      return false;
    return chunk.runs.every(
      ({ heedsCancel, job }) => !heedsCancel || this.cancelledJobs.lately(job.id) === false,
    );
  }

  private async admitAll(chunk: LeasedChunk): Promise<void> {
    await this.waitUntilDue(chunk);
    if (await this.mayStartNow(chunk)) this.admitRuns(chunk);
  }

  /** Waits until the items may start. Where they may not, nothing is left to be done for them here. */
  private async mayStartNow(chunk: LeasedChunk): Promise<boolean> {
    if (!this.isStopped) await this.dropCancelled([chunk]);
    if (!this.isStopped) await this.waitForRate(chunk.open);
    // All of them were cancelled, or let go of as the lease is lost.
    if (chunk.open === 0) return false;
    if (this.isStopped) this.handBack(chunk);
    return !this.isStopped;
  }

  private admitRuns(chunk: LeasedChunk): void {
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
    { content: { heads }, noted: note }: Pick<LeasedChunk, 'content' | 'noted'>,
    from: number,
    count: number,
  ): number[] | undefined {
    const noted = note?.attempts ?? 0;
    if (heads === undefined && noted === 0) return undefined;
    return Array.from({ length: count }, (_, place) => Math.max(noted, heads?.[from + place]?.a ?? 0));
  }

  private async waitForRate(items: number): Promise<void> {
    const { workload, state } = this.setting;
    const { rateLimit } = workload.options;
    if (rateLimit === undefined || items === 0) return;
    const { max, durationMs } = rateLimit;
    const waitMs = await state.reserveStarts(items, max, durationMs, burstOf({ max }));
    if (waitMs > 0 && !this.isStopped) await this.starts.wait(waitMs);
  }

  // ── items that wait here for their next attempts ──────────────────────────

  /** Others must not start before it has ended. What is known of it is noted for who goes on with it, should this process die. */
  private async retryHere(chunk: LeasedChunk): Promise<void> {
    const { attempts, delayMs = 0 } = chunk.reopen();
    const dueAtMs = this.setting.clock.wallNow() + delayMs;
    const isHeld = await this.setting.note(chunk, { deaths: deathsOf(chunk.lease), attempts, dueAtMs });
    if (isHeld && chunk.open > 0) this.bring(chunk);
  }

  private async waitUntilDue({ noted }: LeasedChunk): Promise<void> {
    const waitMs = (noted?.dueAtMs ?? 0) - this.setting.clock.wallNow();
    if (waitMs > 0 && !this.isStopped) await this.retries.wait(waitMs);
  }

  // ── items that may have killed a process ──────────────────────────────────

  private async admitAlone(chunk: LeasedChunk): Promise<void> {
    const { suspects } = this.setting;
    await this.waitUntilDue(chunk);
    await suspects.enter();
    this.alone.add(chunk);
    if (await this.mayStartNow(chunk)) await this.startAlone(chunk);
    else this.endTurn(chunk);
  }

  private async startAlone(chunk: LeasedChunk): Promise<void> {
    const { workload, maxDeaths, note } = this.setting;
    // It would keep the items of other types from their turns.
    if (workload.isPaused) return this.handBack(chunk);
    const { lease, noted } = chunk;
    const deaths = deathsOf(lease);
    if (deaths >= maxDeaths) return this.buryUntried(chunk, deaths);
    const attempts = noted?.attempts ?? 0;
    if ((await note(chunk, { deaths, attempts, startedUnder: lease.number })) && chunk.open > 0) {
      this.admitRuns(chunk);
    }
  }

  /**
   * While the type is paused, its suspects would keep those of other types from their turns. They are worked on without one
   * when it goes on, so a death then is not counted.
   */
  passTurns(): void {
    const { workload, note } = this.setting;
    if (!workload.isPaused) return;
    for (const chunk of this.alone) {
      if (chunk.runs[0]!.job.waiting === 0) continue;
      this.endTurn(chunk);
      void note(chunk, { deaths: deathsOf(chunk.lease), attempts: chunk.noted?.attempts ?? 0 });
    }
  }

  private endTurn(chunk: LeasedChunk): void {
    if (this.alone.delete(chunk)) this.setting.suspects.leave();
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

/** Whether its only item may have killed a process. */
function isSuspect({ lease, content }: LeasedChunk): boolean {
  return lease.lapses > FORGIVEN_LAPSES || content.heads?.[0]?.s === 1;
}
