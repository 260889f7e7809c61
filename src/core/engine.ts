import type { DeadLetter, DeadLetterQuery, DeadLetterSelection } from './dead-letters.js';
import type { EventChannel } from './events.js';
import type { Intake } from './intake.js';
import type { JobRegistry } from './job-registry.js';
import type { Job } from './job.js';
import type { WorkerProcessOptions } from './options.js';
import type { ProcessStage } from './process-stage.js';
import type { Source } from './sources.js';
import type { SubmitOptions } from './submit-options.js';
import type { TimeSlices } from './time-slices.js';
import type { WorkerPool } from './worker-pool.js';
import type { Workload } from './workload.js';
import type { Workloads } from './workloads.js';

/** Items of a worker type that have not ended, over all processes that share its queue. */
export interface QueueDepth {
  /** Items that wait for a worker. */
  readonly waiting: ItemCount;
  /** Items that wait for a moment: of a retry, or of the submission's `delayMs` or `runAt`. */
  readonly delayed: ItemCount;
  /** Items that a process has: its workers hold them, or are about to. */
  readonly active: ItemCount;
  /** Dead letters that are kept. */
  readonly dead: number;
  /** Milliseconds since the first of the waiting items was submitted; undefined when none waits, or the engine does not keep it. */
  readonly oldestAgeMs: number | undefined;
}

/** How many items, and in how many chunks they travel: each item is one where they don't. */
export interface ItemCount {
  readonly items: number;
  readonly chunks: number;
  /** Whether `items` was counted, not estimated by the size of other chunks. */
  readonly exact: boolean;
}

/** What a worker process lends its engine. */
export interface EngineHost {
  readonly options: WorkerProcessOptions;
  readonly events: EventChannel;
  readonly stage: ProcessStage;
  readonly pool: WorkerPool;
  readonly workloads: Workloads;
  readonly jobs: JobRegistry;
  readonly intake: Intake;
  readonly slices: TimeSlices;
}

/** Makes the engine of a worker process; what `engine` in its options is given. */
export interface EngineFactory {
  /** What it is called in the log, such as `memory`. */
  readonly name: string;
  /** Whether what waits outlives the process. */
  readonly isDurable: boolean;
  /** Called once for a process, before any other call. It does no more than make it. */
  createEngine(host: EngineHost): Engine;
}

/**
 * Where the items of a worker process wait. Whatever the engine, workers take them from the workloads of their process,
 * and settle them there.
 */
export interface Engine {
  /** Takes a new worker type. */
  addType(workload: Workload): void;
  /**
   * Connects to what it needs. Called again and again, it does this once.
   *
   * @returns undefined when there is nothing to wait for
   * @throws what says that it can't be reached
   */
  connect(): Promise<void> | undefined;
  /** What may cost items that wait, a sentence each. */
  findRisks(): Promise<readonly string[]>;
  /** Workers may start: brings them the items. */
  bringWork(): void;

  /** Answers at once where nothing has to be waited for: a promise costs an item in memory a part of its time. @see WorkerProcess.distributeWork */
  submit(workload: Workload, source: Source<unknown>, options: SubmitOptions | undefined): Job | Promise<Job>;
  /** @see WorkerProcess.offer */
  offer(type: string, payload: unknown): boolean;
  /** Makes an item a dead letter that no worker has seen. @throws DeadLettersFullError */
  reject(workload: Workload, payload: unknown, error: Error): Promise<Job>;
  /** @see WorkerProcess.findJob */
  findJob(id: string): Promise<Job | undefined>;

  /** Makes due what awaits a retry, of `type` or of all types. @returns how many items */
  retryNow(type: string | undefined): Promise<number>;
  /** The same for the items of these jobs. */
  retryJobs(jobs: Iterable<Job>): Promise<number>;
  /** @see WorkerProcess.depth */
  depth(workload: Workload): Promise<QueueDepth>;
  /** @see WorkerProcess.waitForCompletion */
  whenDone(type: string | undefined): Promise<void>;
  pause(workload: Workload): Promise<void>;
  resume(workload: Workload): Promise<void>;

  deadLetters(query: DeadLetterQuery): Promise<DeadLetter[]>;
  redrive(selection: DeadLetterSelection): Promise<number>;
  discard(selection: DeadLetterSelection): Promise<number>;

  /** The process ends: brings no more items. */
  stopBringing(): Promise<void>;
  /** All has been settled or handed back in the workloads: writes that down, and closes its connections. */
  close(): Promise<void>;
}
