import { randomBytes } from 'node:crypto';
import { ArrayProducer } from './array-producer.js';
import { sumCounts, type WorkCounts } from './counts.js';
import type { DeadLetter, DeadLetterQuery, DeadLetterSelection } from './dead-letters.js';
import { DuplicateWorkerTypeError, ProcessClosedError, UnknownWorkerTypeError } from './errors.js';
import { toError } from './to-error.js';
import { EventChannel, type EventName, type Listener, type UnfinishedItem } from './events.js';
import { Job, type JobObserver, type JobRunner } from './job.js';
import {
  resolveProcessOptions,
  resolveTypeOptions,
  type WorkerProcessOptions,
  type WorkerProcessOptionsInput,
} from './options.js';
import type { PerformanceReport } from './performance-report.js';
import { classifySource, type Source } from './sources.js';
import { StreamProducer } from './stream-producer.js';
import { TimeSlices } from './time-slices.js';
import { resolveDefinition, type WorkerDefinition } from './worker-definition.js';
import { WorkerPool } from './worker-pool.js';
import { Workload } from './workload.js';

/** What may be said of one submission. */
export interface SubmitOptions {
  /** Makes a job of one item findable by `findJob`, and its end an event; other jobs always are. Default false. */
  readonly track?: boolean;
  /** Told of each item as it ends. */
  readonly observer?: JobObserver;
  /**
   * Says that a handler submits. It can't wait for room in a full queue, which only handlers make: up to twice
   * `maxQueueSize` is taken at once, and beyond, an item or an array is refused as a whole. Default false.
   */
  readonly fromHandler?: boolean;
}

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
  protected readonly options: WorkerProcessOptions;
  protected readonly events = new EventChannel();
  private readonly slices: TimeSlices;
  private readonly workloads = new Map<string, Workload>();
  private readonly streams = new Set<StreamProducer>();
  private readonly trackedJobs = new Map<string, Job>();

  private readonly idPrefix = randomBytes(6).toString('base64url');
  private readonly jobRunner: JobRunner;
  private sequence = 0;
  private deaths = 1;
  private closed: Promise<void> | undefined = undefined;

  /** @throws InvalidOptionsError that names every wrong option */
  constructor(options: WorkerProcessOptionsInput = {}) {
    this.options = resolveProcessOptions(options);
    const { clock, maxConcurrency } = this.options;
    this.slices = new TimeSlices(clock);
    this.pool = new WorkerPool(maxConcurrency, this.events, clock, this.slices);
    if (this.options.autoStart) this.pool.open();
    this.jobRunner = {
      cancelJob: (job) => this.cancelJob(job),
      jobFinished: (job) => this.jobFinished(job),
    };
  }

  // ── worker types ──────────────────────────────────────────────────────────

  /**
   * Makes a worker type known.
   *
   * @throws DuplicateWorkerTypeError, InvalidWorkerError, InvalidOptionsError
   */
  register<Payload>(type: string, definition: WorkerDefinition<Payload>): void {
    if (this.workloads.has(type)) throw new DuplicateWorkerTypeError(type);
    const { source, options: input } = resolveDefinition(type, definition);
    const options = resolveTypeOptions(type, input, this.options);
    const workload = new Workload(type, options, this.makeJob(type), {
      events: this.events,
      clock: this.options.clock,
      random: this.options.random,
      nextDeathSequence: () => this.deaths++,
    });
    this.workloads.set(type, workload);
    this.pool.register(workload, source);
  }

  /** The names of the registered worker types. */
  get types(): string[] {
    return [...this.workloads.keys()];
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
   * @throws ProcessClosedError once the process shuts down
   * @throws QueueFullError when the queue is full and too many submissions wait already
   */
  async distributeWork<Payload>(
    type: string,
    source: Source<Payload>,
    options?: SubmitOptions,
  ): Promise<Job> {
    const workload = this.workload(type);
    this.refuseWhenClosed('distributeWork()');
    const work = classifySource(source);
    const job = this.makeJob(type, options);
    if (options?.fromHandler === true && work.kind !== 'stream') {
      workload.admitFromHandler(job, work.kind === 'item' ? [work.payload] : work.payloads);
      if (work.kind === 'array' || options.track === true) this.track(job);
      job.seal();
      return job;
    }
    workload.refuseIfLineIsFull();
    switch (work.kind) {
      case 'item':
        if (options?.track === true) this.track(job);
        if (workload.submit(job, work.payload)) job.seal();
        else await this.submitRest(workload, job, [work.payload]);
        break;
      case 'array': {
        this.track(job);
        const accepted = workload.submitMany(job, work.payloads, 0);
        if (accepted === work.payloads.length) job.seal();
        else await this.submitRest(workload, job, work.payloads.slice(accepted));
        break;
      }
      case 'stream':
        this.track(job);
        this.readStream(workload, job, work.iterator);
        break;
      default:
        work satisfies never;
    }
    return job;
  }

  /**
   * Submits one item if there is room for it now. The fastest way in: it makes neither a job nor a promise.
   *
   * @returns false, having done nothing, when the queue is full or the process shuts down
   * @throws UnknownWorkerTypeError
   */
  offer<Payload>(type: string, payload: Payload): boolean {
    const workload = this.workload(type);
    if (this.closed !== undefined) return false;
    return workload.submit(workload.offered, payload);
  }

  /** The job with this id, if it is tracked and has not ended. */
  findJob(id: string): Job | undefined {
    return this.trackedJobs.get(id);
  }

  /** Makes an item a dead letter that failed a check before any worker saw it. @returns its job */
  rejectItem(type: string, payload: unknown, error: Error): Job {
    const job = this.makeJob(type);
    this.workload(type).reject(job, payload, error);
    job.seal();
    return job;
  }

  private async submitRest(workload: Workload, job: Job, payloads: readonly unknown[]): Promise<void> {
    const producer = new ArrayProducer(workload, job, payloads);
    workload.waitForRoom(producer);
    await producer.submitted;
  }

  private readStream(
    workload: Workload,
    job: Job,
    iterator: Iterator<unknown> | AsyncIterator<unknown>,
  ): void {
    const stream = new StreamProducer(workload, job, iterator, this.slices);
    this.streams.add(stream);
    void stream.ended.then(() => this.streams.delete(stream));
  }

  private makeJob(type: string, options?: SubmitOptions): Job {
    const job = new Job(type, this.jobRunner, this.idPrefix, this.sequence++);
    job.observer = options?.observer;
    return job;
  }

  private track(job: Job): void {
    job.tracked = true;
    this.trackedJobs.set(job.id, job);
  }

  private jobFinished(job: Job): void {
    if (!job.tracked) return;
    this.trackedJobs.delete(job.id);
    this.events.emit('jobFinished', job);
  }

  private cancelJob(job: Job): void {
    for (const stream of this.streams) if (stream.job === job) stream.stop();
    job.seal();
    this.workloads.get(job.type)!.dropJob(job);
    this.pool.abortJob(job);
  }

  /** Lets workers start; to be called only when the process was made with `autoStart: false`. Calling it again does nothing. */
  start(): void {
    this.pool.open();
  }

  // ── steering ──────────────────────────────────────────────────────────────

  /** Sets the number of workers by the queue sizes now, in place of at the next threshold crossing. */
  adjustWorkerCount(): void {
    this.pool.review();
  }

  /** Runs everything that awaits a retry now, of one type or of all. @returns how many items */
  retryFailedItems(type?: string): number {
    return this.selected(type).reduce((sum, workload) => sum + workload.retryNow(), 0);
  }

  /**
   * Resolves when nothing waits, runs or is delayed and no source is being read, for one type or for all. Items of a
   * paused type wait: it then resolves after they were resumed and done.
   */
  async waitForCompletion(type?: string): Promise<void> {
    for (;;) {
      const streams = [...this.streams].filter(({ job }) => type === undefined || job.type === type);
      const workloads = this.selected(type).filter((workload) => !workload.isDone);
      if (streams.length === 0 && workloads.length === 0) return;
      await Promise.all([
        ...streams.map(({ ended }) => ended),
        ...workloads.map((workload) => workload.whenDone()),
      ]);
    }
  }

  /** Starts no item of the type until `resume`; running ones finish. */
  pause(type: string): void {
    this.workload(type).pause('requested');
  }

  /** Takes `pause` back. */
  resume(type: string): void {
    this.workload(type).resume('requested');
  }

  // ── dead letters ──────────────────────────────────────────────────────────

  /** Dead letters of one type or of all, the oldest first. */
  deadLetters({ type, limit = 100, after = 0 }: DeadLetterQuery = {}): DeadLetter[] {
    return this.selected(type)
      .flatMap((workload) => workload.deadLetters.list(after, limit))
      .toSorted((a, b) => a.sequence - b.sequence)
      .slice(0, limit);
  }

  /** Puts dead letters back into their queues, as if never attempted. @returns how many there were */
  redriveDeadLetters(selection: DeadLetterSelection): number {
    return this.eachSelected(selection, (workload, ids) => workload.redrive(ids));
  }

  /** Forgets dead letters for good. @returns how many there were */
  discardDeadLetters(selection: DeadLetterSelection): number {
    return this.eachSelected(selection, (workload, ids) => workload.discard(ids));
  }

  private eachSelected(
    selection: DeadLetterSelection,
    act: (workload: Workload, ids: string[]) => number,
  ): number {
    if ('type' in selection) {
      const workload = this.workload(selection.type);
      return act(workload, workload.deadLetters.ids());
    }
    const workloads = [...this.workloads.values()];
    return workloads.reduce((sum, workload) => sum + act(workload, [...selection.ids]), 0);
  }

  // ── what goes on ──────────────────────────────────────────────────────────

  /** Calls `listener` at each event of the name. @returns a function that ends this */
  on<Name extends EventName>(name: Name, listener: Listener<Name>): () => void {
    return this.events.on(name, listener);
  }

  /** What became of the items, of one type or of all. */
  counts(type?: string): WorkCounts {
    return sumCounts(this.selected(type).map((workload) => workload.counts));
  }

  /** Items that ended since the start, completed or dead. */
  get totalItemsProcessed(): number {
    return this.pool.totalItemsProcessed;
  }

  /** How each worker type does. Rates cover the time since the last call. */
  reportPerformance(): PerformanceReport {
    return this.pool.reportPerformance();
  }

  // ── end ───────────────────────────────────────────────────────────────────

  /** Whether `shutdown` was called. */
  get isClosed(): boolean {
    return this.closed !== undefined;
  }

  /**
   * Ends the process in order: takes no more work and stops reading sources; works the queues off (with
   * `drainOnShutdown`, else lets the running items finish) for at most `shutdownTimeoutMs`; aborts what still runs;
   * gives what is left to `onUnfinished`. A second call returns the same promise.
   */
  shutdown(): Promise<void> {
    // A turn later: what the closing calls (listeners, sources) may call this again, and must find it closed.
    this.closed ??= Promise.resolve().then(() => this.close());
    return this.closed;
  }

  private async close(): Promise<void> {
    const { drainOnShutdown, shutdownTimeoutMs, abortGraceMs, clock } = this.options;
    const deadlineMs = clock.now() + shutdownTimeoutMs;
    const streams = [...this.streams];
    for (const { job } of streams) job.markInterrupted();
    for (const stream of streams) stream.stop();
    for (const workload of this.workloads.values()) workload.closeAdmission();
    // A process that was never started has no workers to wait for.
    const drains = drainOnShutdown && this.pool.isOpen;
    if (!drains) this.pool.close();
    // A source that does not answer must not use up the time of the items.
    await this.within(
      Math.min(abortGraceMs, shutdownTimeoutMs),
      Promise.all(streams.map(({ ended }) => ended)),
    );
    await this.within(deadlineMs - clock.now(), drains ? this.drained(deadlineMs) : this.pool.whenEmpty());
    await this.handBackRest(abortGraceMs);
    for (const { job } of streams) job.seal();
  }

  /** Aborts what still runs, and gives all that is left to `onUnfinished`. */
  private async handBackRest(abortGraceMs: number): Promise<void> {
    const unfinished: UnfinishedItem[] = [];
    for (const workload of this.workloads.values())
      workload.startHandingBack((item) => unfinished.push(item));
    await this.within(abortGraceMs, this.pool.shutdown());
    await this.pool.shutdown({ force: true });
    for (const workload of this.workloads.values()) {
      workload.handBackHeld();
      workload.startHandingBack((lateItem) => void this.tellUnfinished([lateItem]));
    }
    await this.tellUnfinished(unfinished);
  }

  /** Resolves when nothing is left that could be done before the deadline. */
  private async drained(deadlineMs: number): Promise<void> {
    await Promise.all([...this.workloads.values()].map((workload) => workload.whenNothingDueBy(deadlineMs)));
  }

  protected async within(timeoutMs: number, work: Promise<unknown>): Promise<void> {
    if (timeoutMs <= 0) return;
    let timer;
    const timeout = new Promise<void>((resolve) => (timer = this.options.clock.setTimer(resolve, timeoutMs)));
    await Promise.race([work, timeout]);
    timer!.cancel();
  }

  private async tellUnfinished(items: readonly UnfinishedItem[]): Promise<void> {
    if (items.length === 0) return;
    const { onUnfinished } = this.options;
    try {
      if (onUnfinished !== undefined) return await onUnfinished(items);
    } catch (error) {
      this.events.emit('listenerFailed', { event: 'onUnfinished', error: toError(error) });
    }
    this.events.emit('unfinished', { items });
  }

  /** @throws UnknownWorkerTypeError */
  protected requireType(type: string): void {
    this.workload(type);
  }

  /** @throws ProcessClosedError once the process shuts down */
  protected refuseWhenClosed(operation: string): void {
    if (this.closed !== undefined) throw new ProcessClosedError(operation);
  }

  /** @throws UnknownWorkerTypeError */
  private workload(type: string): Workload {
    const workload = this.workloads.get(type);
    if (workload === undefined) throw new UnknownWorkerTypeError(type, this.types);
    return workload;
  }

  private selected(type: string | undefined): Workload[] {
    return type === undefined ? [...this.workloads.values()] : [this.workload(type)];
  }
}
