import type { ArrayProducer } from './array-producer.js';
import type { DeadLetter, DeadLetterQuery, DeadLetterSelection } from './dead-letters.js';
import type { Engine, EngineFactory, EngineHost, ItemCount, QueueDepth } from './engine.js';
import { ProcessClosedError } from './errors.js';
import { keysOf, type KeyOption } from './item-keys.js';
import type { Job } from './job.js';
import { OrderKeys } from './order-keys.js';
import { classifySource, type ClassifiedSource, type Source } from './sources.js';
import { checkSubmitOptions, dueMsOf, laneOf, type SubmitOptions } from './submit-options.js';
import { withoutDuplicates } from './without-duplicates.js';
import type { Workload } from './workload.js';

/** The engine of a process that is given none. */
export const memoryEngine: EngineFactory = Object.freeze({
  name: 'memory',
  isDurable: false,
  createEngine: (host: EngineHost) => new MemoryEngine(host),
});

/** Items wait in this process alone: in the workloads themselves. */
export class MemoryEngine implements Engine {
  private lastOffered: Workload | undefined = undefined;

  constructor(private readonly host: EngineHost) {}

  addType(): void {}

  connect(): undefined {}

  findRisks(): Promise<readonly string[]> {
    return Promise.resolve(['Work is kept in memory: what waits or runs is lost when the process is killed']);
  }

  bringWork(): void {}

  // ── work in ───────────────────────────────────────────────────────────────

  submit(
    workload: Workload,
    source: Source<unknown>,
    options: SubmitOptions | undefined,
  ): Job | Promise<Job> {
    const { jobs, intake } = this.host;
    if (options !== undefined) checkSubmitOptions(options, workload);
    const work = this.readSource(source, options);
    const uniqueKeys = this.readKeys('uniqueKey', work, options);
    const orderKeys = this.readKeys('orderKey', work, options);
    const fromHandler = options?.fromHandler === true;
    intake.refuseIfFull(workload, work, fromHandler, uniqueKeys);
    const job = jobs.make(workload.home, options);
    if (options !== undefined) this.prepare(job, options, orderKeys);
    if (work.kind !== 'item' || options?.track === true) jobs.track(job);
    if (options?.signal?.aborted === true) {
      intake.forgo(work);
      void job.cancel();
      return job;
    }
    const taken =
      uniqueKeys === undefined ? work : withoutDuplicates(work, uniqueKeys, job, workload.uniqueKeys);
    const rest = intake.submit(workload, job, taken, fromHandler);
    if (options?.signal !== undefined) jobs.cancelBy(options.signal, job);
    return rest === undefined ? job : this.whenTaken(job, rest);
  }

  private async whenTaken(job: Job, rest: ArrayProducer): Promise<Job> {
    const refusal = await rest.ended;
    if (refusal !== undefined) throw refusal;
    return job;
  }

  private prepare(job: Job, options: SubmitOptions, orderKeys: string[] | undefined): void {
    job.dueMs = dueMsOf(options, this.host.options.clock);
    job.lane = laneOf(options);
    job.orderKeys = orderKeys && new OrderKeys(orderKeys);
    job.isEnveloped = job.dueMs > 0 || orderKeys !== undefined;
  }

  /** @throws ProcessClosedError when work of this kind is not taken any more */
  private readSource(source: Source<unknown>, options: SubmitOptions | undefined): ClassifiedSource<unknown> {
    const { stage, intake } = this.host;
    stage.refuseWork(options);
    const work = classifySource(source);
    // Getters of an array are code of the user's, which may have ended the process.
    stage.refuseWork(options);
    if (stage.isOpen || work.kind !== 'stream') return work;
    intake.forgo(work);
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
      this.host.stage.refuseWork(options);
      return keys;
    } catch (error) {
      this.host.intake.forgo(work);
      throw error;
    }
  }

  offer(type: string, payload: unknown): boolean {
    // Most calls are for the type of the last one: comparing two texts that are the same costs less than a look-up.
    if (this.lastOffered?.type !== type) this.lastOffered = this.host.workloads.get(type);
    const workload = this.lastOffered;
    if (!this.host.stage.isOpen) return false;
    return workload.submit(workload.offered, payload);
  }

  async reject(workload: Workload, payload: unknown, error: Error): Promise<Job> {
    const job = this.host.jobs.make(workload.home);
    workload.reject(job, payload, error);
    job.seal();
    return job;
  }

  async findJob(id: string): Promise<Job | undefined> {
    return this.host.jobs.find(id);
  }

  // ── steering ──────────────────────────────────────────────────────────────

  async retryNow(type: string | undefined): Promise<number> {
    return this.host.workloads.retryNow(type);
  }

  async retryJobs(jobs: Iterable<Job>): Promise<number> {
    return this.host.workloads.retryJobs(jobs);
  }

  async depth({ counts, deadLetters }: Workload): Promise<QueueDepth> {
    return {
      waiting: each(counts.waiting),
      delayed: each(counts.delayed),
      active: each(counts.running),
      dead: deadLetters.size,
      oldestAgeMs: undefined,
    };
  }

  async whenDone(type: string | undefined): Promise<void> {
    const { intake, workloads } = this.host;
    for (;;) {
      const busy = workloads.select(type).filter((workload) => !workload.isDone);
      const streams = intake.streams(type);
      if (streams.length === 0 && busy.length === 0) return;
      await Promise.all([
        ...streams.map(({ ended }) => ended),
        ...busy.map((workload) => workload.whenDone()),
      ]);
    }
  }

  async pause(workload: Workload): Promise<void> {
    workload.pause('requested');
  }

  async resume(workload: Workload): Promise<void> {
    workload.resume('requested');
  }

  // ── dead letters ──────────────────────────────────────────────────────────

  async deadLetters(query: DeadLetterQuery): Promise<DeadLetter[]> {
    return this.host.workloads.deadLetters(query);
  }

  async redrive(selection: DeadLetterSelection): Promise<number> {
    return this.host.workloads.redrive(selection);
  }

  async discard(selection: DeadLetterSelection): Promise<number> {
    return this.host.workloads.discard(selection);
  }

  // ── end ───────────────────────────────────────────────────────────────────

  stopBringing(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function each(items: number): ItemCount {
  return { items, chunks: items, exact: true };
}
