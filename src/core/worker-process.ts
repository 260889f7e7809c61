import type { Clock } from './clock.js';
import type { WorkCounts } from './counts.js';
import type { DeadLetter, DeadLetterQuery, DeadLetterSelection } from './dead-letters.js';
import { ProcessClosedError } from './errors.js';
import { EventChannel, type EventName, type Listener } from './events.js';
import { Intake } from './intake.js';
import { keysOf, type KeyOption } from './item-keys.js';
import type { JobHome } from './job-home.js';
import { JobRegistry } from './job-registry.js';
import type { Job } from './job.js';
import {
  resolveProcessOptions,
  resolveTypeOptions,
  type WorkerProcessOptions,
  type WorkerProcessOptionsInput,
} from './options.js';
import { OrderedEnd } from './ordered-end.js';
import type { PerformanceReport } from './performance-report.js';
import { promiseWithResolve } from './promise-with-resolve.js';
import { SignalCancels } from './signal-cancels.js';
import { classifySource, type ClassifiedSource, type Source } from './sources.js';
import { checkSubmitOptions, dueMsOf, laneOf, type SubmitOptions } from './submit-options.js';
import { TimeSlices } from './time-slices.js';
import { resolveDefinition, type WorkerDefinition } from './worker-definition.js';
import { WorkerPool } from './worker-pool.js';
import { withoutDuplicates } from './without-duplicates.js';
import { Workload } from './workload.js';
import { Workloads } from './workloads.js';

/**
 * Work queues with their pool, retries and dead letters, in this process's memory. Usable by itself:
 *
 * ```ts
 * const process = new WorkerProcess({ maxConcurrency: 4 });
 * process.register('thumbnail', { processItem: (path: string) => makeThumbnail(path), timeoutMs: 5_000 });
 * const job = await process.distributeWork('thumbnail', paths);
 * console.log(await job.completed);
 * await process.shutdown();
 * ```
 */
export class WorkerProcess {
  /** All workers of this process. */
  readonly pool: WorkerPool;
  /** Source of time. */
  readonly clock: Clock;
  protected readonly options: WorkerProcessOptions;
  protected readonly events = new EventChannel();
  private readonly workloads = new Workloads();
  private readonly jobs: JobRegistry;
  private readonly intake: Intake;
  private readonly signalCancels = new SignalCancels();
  private lastOffered: Workload | undefined = undefined;
  private deaths = 1;
  private stage: 'open' | 'draining' | 'closed' = 'open';
  private closed: Promise<void> | undefined = undefined;
  private readonly poolEnded = promiseWithResolve<void>();

  /** @throws InvalidOptionsError that names every wrong option */
  constructor(options: WorkerProcessOptionsInput = {}) {
    this.options = resolveProcessOptions(options);
    const { clock, maxConcurrency } = this.options;
    this.clock = clock;
    const slices = new TimeSlices(clock);
    this.jobs = new JobRegistry(this.events);
    this.intake = new Intake(slices);
    this.pool = new WorkerPool(maxConcurrency, this.events, clock, slices);
    this.pool.onEnd = () => this.poolEnds();
    if (this.options.autoStart) this.pool.open();
  }

  // ── worker types ──────────────────────────────────────────────────────────

  /**
   * Makes a worker type known.
   *
   * @throws DuplicateWorkerTypeError, InvalidWorkerError, InvalidOptionsError
   * @throws ProcessClosedError once the process shuts down
   */
  register<Payload>(type: string, definition: WorkerDefinition<Payload>): void {
    this.refuseWhenClosed('register()');
    this.workloads.refuseKnown(type);
    const { source, options: input } = resolveDefinition(type, definition);
    const options = resolveTypeOptions(type, input, this.options);
    const workload = new Workload(options, this.jobs.make(this.makeHome(type)), {
      events: this.events,
      clock: this.options.clock,
      random: this.options.random,
      itemsAtOnce: source.mode === 'batch' ? options.batchSize : 1,
      nextDeathSequence: () => this.deaths++,
    });
    this.pool.register(workload, source);
    this.workloads.add(workload);
  }

  /** The names of the registered worker types. */
  get types(): string[] {
    return this.workloads.types;
  }

  // ── work in ───────────────────────────────────────────────────────────────

  /**
   * Submits work: one item, an array, an iterable or an async iterable.
   *
   * For an item and an array it resolves when all of it is in the queue, so a caller that awaits it can't outrun the
   * workers. For iterables it resolves at once; they are read as fast as the queue drains. A source that throws
   * ends its job as `source-failed`; what was read before still runs.
   *
   * @throws UnknownWorkerTypeError
   * @throws InvalidOptionsError when an option is wrong, or the source is a promise
   * @throws ProcessClosedError once the process shuts down. Thrown on by a handler, it costs its item no attempt: the
   *   shutdown hands the item back. The message says how many items of an array had been accepted before
   * @throws QueueFullError when the queue is full and too many submissions wait already
   */
  async distributeWork<Payload>(
    type: string,
    source: Source<Payload>,
    options?: SubmitOptions,
  ): Promise<Job> {
    const workload = this.workloads.get(type);
    if (options !== undefined) checkSubmitOptions(options, workload);
    const work = this.readSource(source, options);
    const uniqueKeys = this.readKeys('uniqueKey', work, options);
    const orderKeys = this.readKeys('orderKey', work, options);
    const fromHandler = options?.fromHandler === true;
    this.intake.refuseIfFull(workload, work, fromHandler);
    const job = this.jobs.make(workload.home, options);
    if (options !== undefined) {
      job.dueMs = dueMsOf(options, this.clock);
      job.lane = laneOf(options);
      job.orderKeys = orderKeys;
      job.isEnveloped = job.dueMs > 0 || orderKeys !== undefined;
    }
    if (work.kind !== 'item' || options?.track === true) this.jobs.track(job);
    if (options?.signal?.aborted === true) {
      this.intake.forgo(work);
      job.cancel();
      return job;
    }
    const taken =
      uniqueKeys === undefined ? work : withoutDuplicates(work, uniqueKeys, job, workload.uniqueKeys);
    const rest = this.intake.submit(workload, job, taken, fromHandler);
    if (options?.signal !== undefined) this.signalCancels.watch(options.signal, job);
    const refusal = rest === undefined ? undefined : await rest.ended;
    if (refusal !== undefined) throw refusal;
    return job;
  }

  /**
   * Submits one item if there is room for it now. The fastest way in: it makes neither a job nor a promise.
   *
   * @returns false, having done nothing, when the queue is full, other submissions wait for room, or the process shuts
   *   down
   * @throws UnknownWorkerTypeError
   */
  offer<Payload>(type: string, payload: Payload): boolean {
    // Most calls are for the type of the last one: comparing two texts that are the same costs less than a look-up.
    if (this.lastOffered?.type !== type) this.lastOffered = this.workloads.get(type);
    const workload = this.lastOffered;
    if (this.stage !== 'open') return false;
    return workload.submit(workload.offered, payload);
  }

  /** The job with this id, if it is tracked and has not ended. */
  findJob(id: string): Job | undefined {
    return this.jobs.find(id);
  }

  /**
   * Makes an item a dead letter that failed a check before any worker saw it.
   *
   * @returns its job
   * @throws UnknownWorkerTypeError
   * @throws DeadLettersFullError when as many are kept as may be
   * @throws ProcessClosedError when the process has been shut down
   */
  rejectItem(type: string, payload: unknown, error: Error): Job {
    const workload = this.workloads.get(type);
    if (this.stage === 'closed') throw new ProcessClosedError('rejectItem()');
    const job = this.jobs.make(workload.home);
    workload.reject(job, payload, error);
    job.seal();
    return job;
  }

  /** @throws ProcessClosedError when work of this kind is not taken any more */
  private readSource<Payload>(
    source: Source<Payload>,
    options: SubmitOptions | undefined,
  ): ClassifiedSource<Payload> {
    this.refuseWhenNotTaken(options);
    const work = classifySource(source);
    // Getters of an array are code of the user's, which may have ended the process.
    this.refuseWhenNotTaken(options);
    if (this.stage === 'open' || work.kind !== 'stream') return work;
    this.intake.forgo(work);
    throw new ProcessClosedError('distributeWork() of an iterable');
  }

  /** @throws InvalidOptionsError when a key is none; what the function throws that makes them; ProcessClosedError */
  private readKeys(
    option: KeyOption,
    work: ClassifiedSource<unknown>,
    options: SubmitOptions | undefined,
  ): string[] | undefined {
    const key = options?.[option];
    if (key === undefined) return undefined;
    try {
      const keys = keysOf(option, key, work);
      // It was asked of the user's function, which may have ended the process.
      this.refuseWhenNotTaken(options);
      return keys;
    } catch (error) {
      this.intake.forgo(work);
      throw error;
    }
  }

  private refuseWhenNotTaken(options: SubmitOptions | undefined): void {
    const isTaken = this.stage === 'open' || (this.stage === 'draining' && options?.fromHandler === true);
    if (!isTaken) throw new ProcessClosedError('distributeWork()');
  }

  private makeHome(type: string): JobHome {
    return {
      type,
      idPrefix: this.jobs.idPrefix,
      cancelJob: (job) => this.cancelJob(job),
      jobEnded: (job) => {
        if (job.uniqueKeys !== undefined) this.workloads.get(type).releaseKeys(job);
        this.jobs.jobEnded(job);
      },
      retryJobs: (jobs) => this.workloads.retryJobs(jobs),
    };
  }

  private cancelJob(job: Job): void {
    job.producer?.stop();
    job.seal();
    this.workloads.get(job.type).dropJob(job);
    this.pool.abortJob(job);
  }

  /**
   * Lets workers start; to be called only when the process was made with `autoStart: false`. Calling it again does nothing.
   *
   * @throws ProcessClosedError once the process shuts down
   */
  start(): void {
    this.refuseWhenClosed('start()');
    this.pool.open();
  }

  // ── steering ──────────────────────────────────────────────────────────────

  /** Sets the number of workers by the queue sizes now, in place of at the next threshold crossing. */
  adjustWorkerCount(): void {
    this.pool.review();
  }

  /** Runs everything that awaits a retry now, of one type or of all. @returns how many items @throws UnknownWorkerTypeError */
  retryFailedItems(type?: string): number {
    return this.workloads.retryNow(type);
  }

  /**
   * Resolves when nothing waits, runs or is delayed and no source is being read, for one type or for all. Items of a
   * paused type wait: it then resolves after they were resumed and done.
   *
   * @throws UnknownWorkerTypeError
   */
  async waitForCompletion(type?: string): Promise<void> {
    for (;;) {
      const workloads = this.workloads.select(type).filter((workload) => !workload.isDone);
      const streams = this.intake.streams(type);
      if (streams.length === 0 && workloads.length === 0) return;
      await Promise.all([
        ...streams.map(({ ended }) => ended),
        ...workloads.map((workload) => workload.whenDone()),
      ]);
    }
  }

  /** Starts no item of the type until `resume`; running ones finish. @throws UnknownWorkerTypeError */
  pause(type: string): void {
    this.workloads.get(type).pause('requested');
  }

  /** Takes `pause` back. @throws UnknownWorkerTypeError */
  resume(type: string): void {
    this.workloads.get(type).resume('requested');
  }

  // ── dead letters ──────────────────────────────────────────────────────────

  /** Dead letters of one type or of all, the oldest first. @throws UnknownWorkerTypeError, InvalidOptionsError */
  deadLetters(query: DeadLetterQuery = {}): DeadLetter[] {
    return this.workloads.deadLetters(query);
  }

  /**
   * Puts dead letters back into their queues, as if never attempted. Those with the reason `rejected` are left where they
   * are: their payloads never passed the check that stands before the worker.
   *
   * @returns how many were put back
   * @throws ProcessClosedError when nobody will work on them: the queues have been worked off for a shutdown, or the pool
   *   was ended
   * @throws RejectedLetterError when one of the `ids` is of such a letter; then, none is put back
   * @throws UnknownWorkerTypeError, InvalidOptionsError
   */
  redriveDeadLetters(selection: DeadLetterSelection): number {
    if (this.stage === 'closed') throw new ProcessClosedError('redriveDeadLetters()');
    return this.workloads.redrive(selection);
  }

  /** Forgets dead letters for good. @returns how many there were @throws UnknownWorkerTypeError, InvalidOptionsError */
  discardDeadLetters(selection: DeadLetterSelection): number {
    return this.workloads.discard(selection);
  }

  // ── what goes on ──────────────────────────────────────────────────────────

  /**
   * Calls `listener` at each event of the name.
   *
   * @returns a function that ends this
   * @throws InvalidOptionsError when there is no event of the name, or the listener is no function
   */
  on<Name extends EventName>(name: Name, listener: Listener<Name>): () => void {
    return this.events.on(name, listener);
  }

  /** What became of the items, of one type or of all. @throws UnknownWorkerTypeError */
  counts(type?: string): WorkCounts {
    return this.workloads.counts(type);
  }

  /** Items that ended since the start, completed or dead. */
  get totalItemsProcessed(): number {
    return this.pool.totalItemsProcessed;
  }

  /**
   * How each worker type does.
   *
   * @param since a former report: rates and means cover the time since then. Default: since the start
   */
  reportPerformance(since?: PerformanceReport): PerformanceReport {
    return this.pool.reportPerformance(since);
  }

  // ── end ───────────────────────────────────────────────────────────────────

  /** Whether no more work is taken: `shutdown` was called, or the pool was shut down by itself. */
  get isClosed(): boolean {
    return this.stage !== 'open';
  }

  /**
   * Ends the process in order: takes no more work and stops reading sources; works the queues off (with
   * `drainOnShutdown`, else lets the running items finish) for at most `shutdownTimeoutMs`; aborts what still runs;
   * gives what is left to `onUnfinished`, and the dead letters to `onDeadLetters`. So it takes `shutdownTimeoutMs` +
   * `abortGraceMs` + `handOverTimeoutMs` at the longest. A second call returns the same promise.
   */
  shutdown(): Promise<void> {
    if (this.closed === undefined) {
      this.stage = 'draining';
      // A turn later: what the closing calls (listeners, sources) may call this again, and must find it closed.
      this.closed = Promise.resolve().then(() => this.close());
    }
    return this.closed;
  }

  private async close(): Promise<void> {
    const { options, events, pool } = this;
    const workloads = this.workloads.select(undefined);
    const streams = this.intake.streams();
    const poolEnded = this.poolEnded.promise;
    const end = new OrderedEnd({ options, events, pool, workloads, streams, poolEnded });
    if (!end.drains) this.stage = 'closed';
    await end.drain();
    this.stage = 'closed';
    await end.handBackRest();
  }

  /** The pool ends, for this process's shutdown or by itself: what is submitted now, or waits for room, would wait for ever. */
  protected poolEnds(): void {
    const workloads = this.workloads.select(undefined);
    for (const workload of workloads) workload.poolEnds();
    this.poolEnded.resolve();
    if (this.stage !== 'open') return;
    this.stage = 'closed';
    for (const stream of this.intake.streams()) stream.stop();
    for (const workload of workloads) workload.admission.close();
  }

  // ── for feeds ─────────────────────────────────────────────────────────────

  /** Runs the items of these jobs now that await a retry; the way for many jobs at once. @returns how many */
  retryFailedItemsOf(jobs: Iterable<Job>): number {
    return this.workloads.retryJobs(jobs);
  }

  /** @throws UnknownWorkerTypeError */
  requireType(type: string): void {
    this.workloads.get(type);
  }

  /** @throws ProcessClosedError once the process shuts down */
  protected refuseWhenClosed(operation: string): void {
    if (this.stage !== 'open') throw new ProcessClosedError(operation);
  }
}
