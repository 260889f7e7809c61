import { ArrayProducer } from './array-producer.js';
import type { Clock } from './clock.js';
import { sumCounts, type WorkCounts } from './counts.js';
import {
  checkSelection,
  type DeadLetter,
  type DeadLetterQuery,
  type DeadLetterSelection,
} from './dead-letters.js';
import { DuplicateWorkerTypeError, ProcessClosedError, UnknownWorkerTypeError } from './errors.js';
import { EventChannel, type EventName, type Listener } from './events.js';
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
import { classifySource, type ClassifiedSource, type Source } from './sources.js';
import { StreamProducer } from './stream-producer.js';
import type { SubmitOptions } from './submit-options.js';
import { TimeSlices } from './time-slices.js';
import { toError } from './to-error.js';
import { resolveDefinition, type WorkerDefinition } from './worker-definition.js';
import { WorkerPool } from './worker-pool.js';
import { Workload } from './workload.js';

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
  private readonly slices: TimeSlices;
  private readonly workloads = new Map<string, Workload>();
  private readonly streams = new Set<StreamProducer>();
  private readonly jobs: JobRegistry;
  private lastOffered: Workload | undefined = undefined;
  private deaths = 1;
  private stage: 'open' | 'draining' | 'closed' = 'open';
  private closed: Promise<void> | undefined = undefined;

  /** @throws InvalidOptionsError that names every wrong option */
  constructor(options: WorkerProcessOptionsInput = {}) {
    this.options = resolveProcessOptions(options);
    const { clock, maxConcurrency } = this.options;
    this.clock = clock;
    this.slices = new TimeSlices(clock);
    this.jobs = new JobRegistry(this.events);
    this.pool = new WorkerPool(maxConcurrency, this.events, clock, this.slices);
    if (this.options.autoStart) this.pool.open();
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
    const workload = new Workload(options, this.jobs.make(this.makeHome(type)), {
      events: this.events,
      clock: this.options.clock,
      random: this.options.random,
      nextDeathSequence: () => this.deaths++,
    });
    this.pool.register(workload, source);
    this.workloads.set(type, workload);
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
   * @throws ProcessClosedError once the process shuts down. Thrown on by a handler, it costs its item no attempt: the
   *   shutdown hands the item back. The message says how many items of an array had been accepted before
   * @throws QueueFullError when the queue is full and too many submissions wait already
   */
  async distributeWork<Payload>(
    type: string,
    source: Source<Payload>,
    options?: SubmitOptions,
  ): Promise<Job> {
    const workload = this.workload(type);
    const isTaken = this.stage === 'open' || (this.stage === 'draining' && options?.fromHandler === true);
    if (!isTaken) throw new ProcessClosedError('distributeWork()');
    const work = classifySource(source);
    const fromHandler = options?.fromHandler === true && work.kind !== 'stream';
    if (fromHandler) workload.refuseBeyondSecondBound(work.kind === 'item' ? 1 : work.payloads.length);
    else if (this.stage === 'open') workload.refuseIfLineIsFull();
    else throw new ProcessClosedError('distributeWork() of an iterable');
    const job = this.jobs.make(workload.home, options);
    if (work.kind !== 'item' || options?.track === true) this.jobs.track(job);
    const rest = this.submit(workload, job, work, fromHandler);
    if (options?.signal !== undefined) cancelBy(options.signal, job);
    if (rest !== undefined) await submitted(rest);
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
    if (this.lastOffered?.type !== type) this.lastOffered = this.workload(type);
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
    const workload = this.workload(type);
    if (this.stage === 'closed') throw new ProcessClosedError('rejectItem()');
    const job = this.jobs.make(workload.home);
    workload.reject(job, payload, error);
    job.seal();
    return job;
  }

  /** Submits what there is room for. @returns what waits for room; undefined when nothing does */
  private submit(
    workload: Workload,
    job: Job,
    work: ClassifiedSource<unknown>,
    fromHandler: boolean,
  ): ArrayProducer | undefined {
    switch (work.kind) {
      case 'item':
        if (fromHandler) workload.admit(job, work.payload);
        else if (!workload.submit(job, work.payload)) return new ArrayProducer(workload, job, [work.payload]);
        job.seal();
        return undefined;
      case 'array':
        return submitArray(workload, job, work.payloads, fromHandler);
      case 'stream':
        this.readStream(workload, job, work.iterator);
        return undefined;
      default:
        return work satisfies never;
    }
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

  private makeHome(type: string): JobHome {
    return {
      type,
      idPrefix: this.jobs.idPrefix,
      cancelJob: (job) => this.cancelJob(job),
      jobFinished: (job) => this.jobs.jobFinished(job),
      retryJob: (job) => this.workload(type).retryNow(job),
    };
  }

  private cancelJob(job: Job): void {
    job.producer?.stop();
    job.seal();
    this.workload(job.type).dropJob(job);
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
    return sum(this.selected(type), (workload) => workload.retryNow());
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

  /**
   * Puts dead letters back into their queues, as if never attempted. Those with the reason `rejected` are left where they
   * are: their payloads never passed the check that stands before the worker.
   *
   * @returns how many were put back
   * @throws RejectedLetterError when one of the `ids` is of such a letter; then, none is put back
   * @throws UnknownWorkerTypeError, InvalidOptionsError
   */
  redriveDeadLetters(selection: DeadLetterSelection): number {
    checkSelection(selection);
    const { ids, type } = selection;
    const workloads = this.selected(type);
    if (ids !== undefined) for (const workload of workloads) workload.refuseRejected(ids);
    return sum(workloads, (workload) => workload.redrive(ids ?? workload.redrivable()));
  }

  /** Forgets dead letters for good. @returns how many there were @throws UnknownWorkerTypeError, InvalidOptionsError */
  discardDeadLetters(selection: DeadLetterSelection): number {
    checkSelection(selection);
    const { ids, type } = selection;
    return sum(this.selected(type), (workload) => workload.discard(ids ?? workload.deadLetters.ids()));
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

  /**
   * How each worker type does.
   *
   * @param since a former report: rates and means cover the time since then. Default: since the start
   */
  reportPerformance(since?: PerformanceReport): PerformanceReport {
    return this.pool.reportPerformance(since);
  }

  // ── end ───────────────────────────────────────────────────────────────────

  /** Whether `shutdown` was called. */
  get isClosed(): boolean {
    return this.closed !== undefined;
  }

  /**
   * Ends the process in order: takes no more work and stops reading sources; works the queues off (with
   * `drainOnShutdown`, else lets the running items finish) for at most `shutdownTimeoutMs`; aborts what still runs;
   * gives what is left to `onUnfinished`, and the dead letters to `onDeadLetters`. A second call returns the same promise.
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
    const workloads = this.selected(undefined);
    const end = new OrderedEnd({ options, events, pool, workloads, streams: [...this.streams] });
    if (!end.drains) this.stage = 'closed';
    await end.drain();
    this.stage = 'closed';
    await end.handBackRest();
  }

  // ── for feeds ─────────────────────────────────────────────────────────────

  /** @throws UnknownWorkerTypeError */
  requireType(type: string): void {
    this.workload(type);
  }

  /** @throws ProcessClosedError once the process shuts down */
  protected refuseWhenClosed(operation: string): void {
    if (this.stage !== 'open') throw new ProcessClosedError(operation);
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

function sum(workloads: readonly Workload[], count: (workload: Workload) => number): number {
  return workloads.reduce((total, workload) => total + count(workload), 0);
}

/** @returns what waits for room; undefined when nothing does */
function submitArray(
  workload: Workload,
  job: Job,
  payloads: readonly unknown[],
  fromHandler: boolean,
): ArrayProducer | undefined {
  try {
    const room = fromHandler ? payloads.length : workload.room;
    if (room > 0) workload.admitMany(job, payloads, 0, Math.min(room, payloads.length));
    if (payloads.length > room) return new ArrayProducer(workload, job, payloads.slice(room));
    job.seal();
  } catch (error) {
    // An array of which an item can't be read is a source that fails.
    job.seal(toError(error));
  }
  return undefined;
}

/** @throws ProcessClosedError when the process shuts down before there is room for all */
async function submitted(rest: ArrayProducer): Promise<void> {
  const refusal = await rest.ended;
  if (refusal !== undefined) throw refusal;
}

/** Cancels `job` when `signal` aborts, as long as the job has not ended. */
function cancelBy(signal: AbortSignal, job: Job): void {
  if (signal.aborted) return job.cancel();
  const cancel = () => job.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  void job.completed.then(() => signal.removeEventListener('abort', cancel));
}
