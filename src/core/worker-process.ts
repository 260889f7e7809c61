import type { Clock } from './clock.js';
import type { WorkCounts } from './counts.js';
import type { DeadLetter, DeadLetterQuery, DeadLetterSelection } from './dead-letters.js';
import type { Engine, QueueDepth } from './engine.js';
import { ProcessClosedError } from './errors.js';
import { EventChannel, type EventName, type Listener } from './events.js';
import { Intake } from './intake.js';
import { JobRegistry } from './job-registry.js';
import type { Job } from './job.js';
import {
  resolveProcessOptions,
  resolveTypeOptions,
  type WorkerProcessOptions,
  type WorkerProcessOptionsInput,
} from './options.js';
import { memoryEngine } from './memory-engine.js';
import { OrderedEnd } from './ordered-end.js';
import type { PerformanceReport } from './performance-report.js';
import { ProcessStage } from './process-stage.js';
import { promiseWithResolve } from './promise-with-resolve.js';
import type { Source } from './sources.js';
import type { SubmitOptions } from './submit-options.js';
import { TimeSlices } from './time-slices.js';
import { resolveDefinition, type WorkerDefinition } from './worker-definition.js';
import { WorkerPool } from './worker-pool.js';
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
  private readonly stage = new ProcessStage();
  private readonly jobs: JobRegistry;
  private readonly intake: Intake;
  private readonly engine: Engine;
  private deaths = 1;
  private closed: Promise<void> | undefined = undefined;
  private readonly poolEnded = promiseWithResolve<void>();

  /** @throws InvalidOptionsError that names every wrong option */
  constructor(options: WorkerProcessOptionsInput = {}) {
    this.options = resolveProcessOptions(options);
    const { clock, maxConcurrency, engine = memoryEngine } = this.options;
    this.clock = clock;
    const slices = new TimeSlices(clock);
    this.intake = new Intake(slices);
    this.pool = new WorkerPool(maxConcurrency, this.events, clock, slices);
    this.pool.onEnd = () => this.poolEnds();
    this.jobs = new JobRegistry(this.events, this.workloads, this.pool);
    this.engine = engine.createEngine({
      options: this.options,
      events: this.events,
      stage: this.stage,
      pool: this.pool,
      workloads: this.workloads,
      jobs: this.jobs,
      intake: this.intake,
      slices,
    });
    // Who waits for it hears of what goes wrong; nobody else has to.
    if (this.options.autoStart) this.start().catch(() => undefined);
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
    const workload = new Workload(options, this.jobs.make(this.jobs.makeHome(type)), {
      events: this.events,
      clock: this.options.clock,
      random: this.options.random,
      itemsAtOnce: source.mode === 'batch' ? options.batchSize : 1,
      nextDeathSequence: () => this.deaths++,
    });
    this.pool.register(workload, source);
    this.workloads.add(workload);
    this.engine.addType(workload);
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
    return this.engine.submit(this.workloads.get(type), source, options);
  }

  /**
   * Submits one item if there is room for it now. The fastest way in: it makes neither a job nor a promise.
   *
   * @returns false, having done nothing, when the queue is full, other submissions wait for room, or the process shuts
   *   down
   * @throws UnknownWorkerTypeError
   */
  offer<Payload>(type: string, payload: Payload): boolean {
    return this.engine.offer(type, payload);
  }

  /** The job with this id, if it is tracked and has not ended. */
  findJob(id: string): Promise<Job | undefined> {
    return this.engine.findJob(id);
  }

  /**
   * Makes an item a dead letter that failed a check before any worker saw it.
   *
   * @returns its job
   * @throws UnknownWorkerTypeError
   * @throws DeadLettersFullError when as many are kept as may be
   * @throws ProcessClosedError when the process has been shut down
   */
  async rejectItem(type: string, payload: unknown, error: Error): Promise<Job> {
    const workload = this.workloads.get(type);
    if (this.stage.isClosed) throw new ProcessClosedError('rejectItem()');
    return this.engine.reject(workload, payload, error);
  }

  /**
   * Lets workers start; has to be called when the process was made with `autoStart: false`. Calling it again does nothing
   * but wait for the same.
   *
   * @returns when the engine is connected, and workers may start
   * @throws ProcessClosedError once the process shuts down; what says that the engine's store can't be reached
   */
  async start(): Promise<void> {
    this.refuseWhenClosed('start()');
    // In memory, there is nothing to wait for: workers may start at once.
    const connecting = this.engine.connect();
    if (connecting !== undefined) await connecting;
    // A shutdown may have come meanwhile.
    if (!this.stage.isOpen) return;
    this.pool.open();
    this.engine.bringWork();
  }

  /** Whether work that waits outlives the process. */
  get isDurable(): boolean {
    return this.options.engine?.isDurable === true;
  }

  /** What may cost work that waits, a sentence each: how the engine's store is set up, or that there is none. */
  findRisks(): Promise<readonly string[]> {
    return this.engine.findRisks();
  }

  // ── steering ──────────────────────────────────────────────────────────────

  /** Sets the number of workers by the queue sizes now, in place of at the next threshold crossing. */
  adjustWorkerCount(): void {
    this.pool.review();
  }

  /** Runs everything that awaits a retry now, of one type or of all. @returns how many items @throws UnknownWorkerTypeError */
  async retryFailedItems(type?: string): Promise<number> {
    if (type !== undefined) this.requireType(type);
    return this.engine.retryNow(type);
  }

  /**
   * Resolves when nothing waits, runs or is delayed and no source is being read, for one type or for all. Items of a
   * paused type wait: it then resolves after they were resumed and done.
   *
   * @throws UnknownWorkerTypeError
   */
  async waitForCompletion(type?: string): Promise<void> {
    if (type !== undefined) this.requireType(type);
    await this.engine.whenDone(type);
  }

  /** Items of the type that have not ended, over all processes that share its queue. @throws UnknownWorkerTypeError */
  async depth(type: string): Promise<QueueDepth> {
    return this.engine.depth(this.workloads.get(type));
  }

  /** Starts no item of the type until `resume`; running ones finish. @throws UnknownWorkerTypeError */
  async pause(type: string): Promise<void> {
    await this.engine.pause(this.workloads.get(type));
  }

  /** Takes `pause` back. @throws UnknownWorkerTypeError */
  async resume(type: string): Promise<void> {
    await this.engine.resume(this.workloads.get(type));
  }

  // ── dead letters ──────────────────────────────────────────────────────────

  /** Dead letters of one type or of all, the oldest first. @throws UnknownWorkerTypeError, InvalidOptionsError */
  async deadLetters(query: DeadLetterQuery = {}): Promise<DeadLetter[]> {
    return this.engine.deadLetters(query);
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
  async redriveDeadLetters(selection: DeadLetterSelection): Promise<number> {
    if (this.stage.isClosed) throw new ProcessClosedError('redriveDeadLetters()');
    return this.engine.redrive(selection);
  }

  /** Forgets dead letters for good. @returns how many there were @throws UnknownWorkerTypeError, InvalidOptionsError */
  async discardDeadLetters(selection: DeadLetterSelection): Promise<number> {
    return this.engine.discard(selection);
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
    return !this.stage.isOpen;
  }

  /**
   * Ends the process in order: takes no more work and stops reading sources; works the queues off (with
   * `drainOnShutdown`, else lets the running items finish) for at most `shutdownTimeoutMs`; aborts what still runs;
   * gives what is left to `onUnfinished`, and the dead letters to `onDeadLetters`. So it takes `shutdownTimeoutMs` +
   * `abortGraceMs` + `handOverTimeoutMs` at the longest. A second call returns the same promise.
   */
  shutdown(): Promise<void> {
    if (this.closed === undefined) {
      this.stage.drain();
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
    if (!end.drains) this.stage.close();
    const stopped = this.engine.stopBringing();
    await end.drain();
    await stopped;
    this.stage.close();
    await end.handBackRest();
    await this.engine.close();
  }

  /** The pool ends, for this process's shutdown or by itself: what is submitted now, or waits for room, would wait for ever. */
  protected poolEnds(): void {
    const workloads = this.workloads.select(undefined);
    for (const workload of workloads) workload.poolEnds();
    this.poolEnded.resolve();
    if (!this.stage.isOpen) return;
    this.stage.close();
    void this.engine.stopBringing();
    for (const stream of this.intake.streams()) stream.stop();
    for (const workload of workloads) workload.admission.close();
  }

  // ── for feeds ─────────────────────────────────────────────────────────────

  /** Runs the items of these jobs now that await a retry; the way for many jobs at once. @returns how many */
  retryFailedItemsOf(jobs: Iterable<Job>): Promise<number> {
    return this.engine.retryJobs(jobs);
  }

  /** @throws UnknownWorkerTypeError */
  requireType(type: string): void {
    this.workloads.get(type);
  }

  /** @throws ProcessClosedError once the process shuts down */
  protected refuseWhenClosed(operation: string): void {
    this.stage.refuseUnlessOpen(operation);
  }
}
