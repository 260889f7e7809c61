import type { DeadLetter, DeadLetterQuery, DeadLetterSelection } from '../../core/dead-letters.js';
import type { Engine, EngineHost, QueueDepth } from '../../core/engine.js';
import { closeIterator } from '../../core/close-iterator.js';
import { DeadLettersFullError, ProcessClosedError } from '../../core/errors.js';
import type { Job } from '../../core/job.js';
import { MemoryEngine } from '../../core/memory-engine.js';
import { classifySource, type ClassifiedSource, type Source } from '../../core/sources.js';
import { NORMAL_LANE } from '../../core/priority.js';
import { checkSubmitOptions, type SubmitOptions } from '../../core/submit-options.js';
import { within } from '../../core/within.js';
import type { Workload } from '../../core/workload.js';
import { ChunkIds } from './chunk-ids.js';
import { depthOf } from './depth-of.js';
import { JobNotTrackedError, NotOnDurableEngineError } from './durable-errors.js';
import type { DurableOptions } from './durable-options.js';
import { DurableType, WRITE_DOWN_MS } from './durable-type.js';
import { itemText } from './item-text.js';
import { splitJobId } from './job-id.js';
import { JobWatch, learnFrom } from './job-watch.js';
import { StoredDeadLetters } from './stored-dead-letters.js';
import { StoredHome, StoredHomes, type StoredJobs } from './stored-home.js';
import { StoredSubmission } from './stored-submission.js';
import type { Store } from './store.js';
import { SuspectGate } from './suspects.js';
import { TroubleTeller } from './trouble-teller.js';

/** How often it is looked whether the queues are empty that somebody waits for, in milliseconds. */
const LOOK_MS = 100;

/**
 * Items wait in a store that several processes share. Each leases some of them, has them worked on in its workloads as the
 * memory engine does, and writes down what became of them. What its source keeps (`keptBySource`, or an `observer`, which is
 * told in this process) stays in the memory of this process: its source gives it again.
 */
export class DurableEngine implements Engine, StoredJobs {
  private readonly local: MemoryEngine;
  private readonly types = new Map<string, DurableType>();
  private readonly homes = new Map<string, StoredHome>();
  private readonly ids = new ChunkIds();
  private readonly suspects = new SuspectGate();
  private readonly watched: JobWatch;
  private readonly letters: StoredDeadLetters;
  private readonly troubles: TroubleTeller;
  private readonly streams = new Map<StoredSubmission, Promise<void>>();
  /** Writes that whoever asked for them does not wait for. */
  private readonly unwritten = new Set<Promise<unknown>>();
  private connecting: Promise<void> | undefined = undefined;
  private bringsWork = false;

  constructor(
    private readonly host: EngineHost,
    private readonly store: Store,
    private readonly options: DurableOptions,
  ) {
    const { clock } = host.options;
    this.local = new MemoryEngine(host);
    this.troubles = new TroubleTeller(host.events, clock);
    this.watched = new JobWatch(store.records, clock, this.troubles.tell);
    this.letters = new StoredDeadLetters(this.types, host.workloads);
  }

  addType(workload: Workload): void {
    const { host, options, store, ids, suspects, troubles, watched } = this;
    const { type } = workload;
    const { idPrefix } = host.jobs;
    const stored = new DurableType(workload, new StoredHomes(type, idPrefix, this), {
      options,
      store,
      clock: host.options.clock,
      events: host.events,
      pool: host.pool,
      ids,
      suspects,
      replicaId: idPrefix,
      recordsRaised: (jobIds) => watched.touched(jobIds),
      troubled: troubles.tell,
    });
    this.types.set(type, stored);
    this.homes.set(type, new StoredHome(type, idPrefix, this));
    if (this.bringsWork) stored.bringWork();
  }

  connect(): Promise<void> {
    return (this.connecting ??= this.store.open());
  }

  bringWork(): void {
    if (this.bringsWork) return;
    this.bringsWork = true;
    for (const type of this.types.values()) type.bringWork();
  }

  findRisks(): Promise<readonly string[]> {
    return this.store.findRisks();
  }

  // ── work in ───────────────────────────────────────────────────────────────

  async submit(
    workload: Workload,
    source: Source<unknown>,
    options: SubmitOptions | undefined,
  ): Promise<Job> {
    if (options?.keptBySource === true || options?.observer !== undefined) {
      return this.local.submit(workload, source, options);
    }
    if (options !== undefined) checkSubmitOptions(options, workload);
    const { stage, jobs } = this.host;
    stage.refuseWork(options);
    const work = classifySource(source);
    // Getters of an array are code of the user's, which may have ended the process.
    stage.refuseWork(options);
    const home = this.homes.get(workload.type)!;
    if (options === undefined && work.kind === 'item') {
      return this.submitItem(workload.type, jobs.make(home), work.payload);
    }
    return this.submitJob(jobs.make(home, options), work, options ?? {});
  }

  /** One item of which nothing is said shares its chunk with others. */
  private async submitItem(type: string, job: Job, payload: unknown): Promise<Job> {
    const text = itemText(payload, type, 0, this.options.maxItemBytes);
    const { idPrefix } = job.home;
    const failure = await this.types.get(type)!.commitOf(NORMAL_LANE).write(text, idPrefix, job.sequence);
    if (failure !== undefined) throw failure;
    job.accept(1);
    return job;
  }

  private async submitJob(job: Job, work: ClassifiedSource<unknown>, options: SubmitOptions): Promise<Job> {
    const { jobs, intake } = this.host;
    const submission = new StoredSubmission(job, this.types.get(job.type)!, options, {
      records: this.store.records,
      ids: this.ids,
      maxItemBytes: this.options.maxItemBytes,
      dueAtMs: this.dueAtMsOf(options),
      slices: this.host.slices,
      goesOn: (unfinished) => this.remember(unfinished),
    });
    job.tracked = true;
    if (options.signal?.aborted === true) {
      intake.forgo(work);
      job.isCancelled = true;
      job.seal();
      return job;
    }
    if (work.kind === 'stream') await this.submitStream(submission, work.iterator);
    else await submission.storeAll(work);
    if (options.signal !== undefined) jobs.cancelBy(options.signal, job);
    if (this.host.events.has('jobEnded')) this.watched.add(job);
    return job;
  }

  private async submitStream(
    submission: StoredSubmission,
    iterator: Iterator<unknown> | AsyncIterator<unknown>,
  ): Promise<void> {
    try {
      if (!this.host.stage.isOpen) throw new ProcessClosedError('distributeWork() of an iterable');
      await submission.create();
    } catch (error) {
      void closeIterator(iterator);
      throw error;
    }
    const reading = submission.storeStream(iterator).then(() => void this.streams.delete(submission));
    this.streams.set(submission, reading);
    // A shutdown may have come meanwhile.
    if (!this.host.stage.isOpen) submission.stop();
  }

  private dueAtMsOf({ delayMs, runAt }: SubmitOptions): number {
    if (runAt !== undefined) return runAt.getTime();
    return delayMs === undefined || delayMs === 0 ? 0 : this.host.options.clock.wallNow() + delayMs;
  }

  offer(): boolean {
    throw new NotOnDurableEngineError('offer()', 'await distributeWork() in its place');
  }

  async reject(workload: Workload, payload: unknown, error: Error): Promise<Job> {
    const { type, options } = workload;
    const job = this.host.jobs.make(this.homes.get(type)!);
    const { letters } = this.types.get(type)!;
    if ((await letters.count()) >= options.maxDeadLetters) {
      throw new DeadLettersFullError(type, options.maxDeadLetters);
    }
    itemText(payload, type, 0, this.options.maxItemBytes);
    job.accept(1);
    const dead = {
      job,
      index: 0,
      payload,
      attempts: 0,
      reason: 'rejected',
      error,
      isTracked: false,
    } as const;
    const tell = await this.types.get(type)!.bury([dead], this.host.options.clock.wallNow());
    tell();
    job.seal();
    job.end('failed', 1);
    return job;
  }

  // ── jobs ──────────────────────────────────────────────────────────────────

  async findJob(id: string): Promise<Job | undefined> {
    const local = this.host.jobs.find(id);
    if (local !== undefined) return local;
    const [record] = await this.store.records.read([id]);
    if (record === undefined) return undefined;
    const job = new StoredHomes(record.type, splitJobId(id).idPrefix, this).jobOf(id);
    job.tracked = true;
    learnFrom(job, record);
    return job;
  }

  async cancel(job: Job): Promise<void> {
    if (!job.tracked) throw new JobNotTrackedError(job.id, 'cancel()');
    const writes: Promise<void>[] = [];
    await this.store.records.cancel(job.id, (answer) => {
      const written = answer.then((isCancelled) => this.cancelled(job, isCancelled));
      this.remember(written);
      writes.push(written);
    });
    await Promise.all(writes);
  }

  private cancelled(job: Job, isCancelled: boolean): void {
    // Else it had ended before, as its record tells.
    job.isCancelled = isCancelled;
    if (isCancelled) {
      job.producer?.stop();
      this.types.get(job.type)?.dropJob(job.id);
    }
    this.watched.add(job);
  }

  private remember(work: Promise<unknown>): void {
    this.unwritten.add(work);
    const forget = () => void this.unwritten.delete(work);
    work.then(forget, forget);
  }

  watch(job: Job): void {
    if (!job.tracked) throw new JobNotTrackedError(job.id, 'completed');
    this.watched.add(job);
  }

  ended(job: Job): void {
    if (job.tracked) this.host.events.emit('jobEnded', job);
  }

  /** The store knows retries by worker type only: makes those of the types of these jobs due. */
  async retry(jobs: Iterable<Job>): Promise<number> {
    const all = [...jobs];
    const local = await this.local.retryJobs(all.filter((job) => this.host.jobs.find(job.id) === job));
    const types = new Set(all.map(({ type }) => type));
    const released = await Promise.all([...types].map((type) => this.releaseRetries(type)));
    return released.reduce((sum, count) => sum + count, local);
  }

  retryJobs(jobs: Iterable<Job>): Promise<number> {
    return this.retry(jobs);
  }

  async retryNow(type: string | undefined): Promise<number> {
    const types = type === undefined ? [...this.types.keys()] : [type];
    const released = await Promise.all(types.map((one) => this.releaseRetries(one)));
    const local = await this.local.retryNow(type);
    return released.reduce((sum, count) => sum + count, local);
  }

  private releaseRetries(type: string): Promise<number> {
    return this.types.get(type)!.releaseRetries();
  }

  // ── steering ──────────────────────────────────────────────────────────────

  depth(workload: Workload): Promise<QueueDepth> {
    return depthOf(this.types.get(workload.type)!, this.host.options.clock);
  }

  async whenDone(type: string | undefined): Promise<void> {
    const { clock } = this.host.options;
    const types = type === undefined ? [...this.types.values()] : [this.types.get(type)!];
    for (;;) {
      await Promise.all([this.local.whenDone(type), ...this.streams.values()]);
      const areEmpty = await Promise.all(types.map((one) => one.isEmpty()));
      if (areEmpty.every(Boolean)) return;
      await new Promise<void>((resolve) => clock.setTimer(resolve, LOOK_MS));
    }
  }

  pause({ type }: Workload): Promise<void> {
    return this.types.get(type)!.pauses.pause('requested');
  }

  async resume({ type }: Workload): Promise<void> {
    const stored = this.types.get(type)!;
    await stored.pauses.resume('requested');
    stored.pauseChanged();
  }

  // ── dead letters ──────────────────────────────────────────────────────────

  deadLetters(query: DeadLetterQuery): Promise<DeadLetter[]> {
    return this.letters.list(query);
  }

  redrive(selection: DeadLetterSelection): Promise<number> {
    return this.letters.redrive(selection);
  }

  discard(selection: DeadLetterSelection): Promise<number> {
    return this.letters.discard(selection);
  }

  // ── end ───────────────────────────────────────────────────────────────────

  async stopBringing(): Promise<void> {
    const { clock } = this.host.options;
    for (const submission of this.streams.keys()) submission.stop();
    const types = [...this.types.values()].map((type) => type.stopBringing());
    const writes = [...types, ...this.streams.values(), ...this.unwritten];
    await within(clock, WRITE_DOWN_MS, Promise.allSettled(writes));
  }

  async close(): Promise<void> {
    const { clock } = this.host.options;
    const written = Promise.allSettled([...this.types.values()].map((type) => type.close()));
    await within(clock, WRITE_DOWN_MS, written);
    this.watched.stop();
    await this.store.close();
  }
}
