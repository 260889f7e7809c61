import { describe } from '../../core/describe.js';
import { BackgroundWorkerError, ProcessClosedError } from '../../core/errors.js';
import { promiseWithResolve } from '../../core/promise-with-resolve.js';
import type { FeedDoor } from '../feed-door.js';
import { untilAborted } from '../until-aborted.js';
import { Checkpoint } from './checkpoint.js';
import type { CursorCache } from './cursor-cache.js';
import { CursorCalls } from './cursor-calls.js';
import { resolveCursorJob, type CursorJob, type CursorJobDefinition } from './cursor-definition.js';
import { CursorRun } from './cursor-run.js';
import type { CursorRunResult, Trigger, TriggerCause } from './cursor-source.js';

/** No cursor job has this name. */
export class UnknownCursorJobError extends BackgroundWorkerError {
  readonly code = 'UNKNOWN_CURSOR_JOB';

  constructor(
    readonly jobName: unknown,
    readonly knownNames: readonly string[],
  ) {
    const known = knownNames.length === 0 ? 'none is registered' : `known: ${knownNames.join(', ')}`;
    super(`Unknown cursor job ${describe(jobName)}; ${known}`);
  }
}

/** Two cursor jobs would share a name, and with it a checkpoint. */
export class DuplicateCursorJobError extends BackgroundWorkerError {
  readonly code = 'DUPLICATE_CURSOR_JOB';

  constructor(readonly jobName: string) {
    super(`Cursor job ${describe(jobName)} is registered already; its name is the key of its checkpoint`);
  }
}

/** What a cursor feed tells. */
export interface CursorFeedListener {
  runEnded(result: CursorRunResult, cause: TriggerCause): void;
  /** A trigger came while the job was running, and was ignored. */
  triggerSkipped(trigger: Trigger): void;
}

/** What the runs of a cursor job share. */
interface RegisteredJob {
  readonly job: CursorJob;
  readonly calls: CursorCalls;
  readonly checkpoint: Checkpoint;
}

/** The cursor jobs of an application: their triggers, and the runs under way. A job has one run at a time. */
export class CursorFeed {
  private readonly jobs = new Map<string, RegisteredJob>();
  private readonly runs = new Map<string, CursorRun>();
  private readonly waiting = new Map<string, Set<(trigger: Trigger) => void>>();
  /** Aborts when no trigger will start a run any more. */
  private readonly stopped = new AbortController();

  constructor(
    private readonly door: FeedDoor,
    private readonly cache: CursorCache,
    private readonly listener: CursorFeedListener,
  ) {}

  get names(): string[] {
    return [...this.jobs.keys()];
  }

  /** @throws InvalidOptionsError, DuplicateCursorJobError */
  register(definition: CursorJobDefinition): void {
    const job = resolveCursorJob(definition);
    if (this.jobs.has(job.name)) throw new DuplicateCursorJobError(job.name);
    const calls = new CursorCalls(job, this.door.clock);
    this.jobs.set(job.name, { job, calls, checkpoint: new Checkpoint(job.name, this.cache, calls) });
  }

  /**
   * Starts a run, unless one is under way already.
   *
   * @returns the run that is under way now
   * @throws UnknownCursorJobError
   */
  trigger(name: string, cause: TriggerCause): CursorRun {
    const { job, calls, checkpoint } = this.registered(name);
    const trigger: Trigger = { name, cause };
    const running = this.runs.get(name);
    if (running !== undefined) {
      this.listener.triggerSkipped(trigger);
      return running;
    }
    const run = new CursorRun(job, this.door, calls, checkpoint);
    this.runs.set(name, run);
    void this.forgetWhenEnded(run, cause);
    this.tellWaiting(trigger);
    return run;
  }

  /**
   * Resolves at the next trigger of the job that starts a run.
   *
   * @throws UnknownCursorJobError, ProcessClosedError; rejects with the signal's reason when it aborts first
   */
  async waitForTrigger(name: string, signal?: AbortSignal): Promise<Trigger> {
    this.registered(name);
    const { promise, resolve } = promiseWithResolve<Trigger>();
    const waiting = this.waiting.get(name) ?? new Set();
    this.waiting.set(name, waiting.add(resolve));
    try {
      const given = signal === undefined ? [] : [signal];
      return await untilAborted(promise, ...given, this.stopped.signal);
    } finally {
      waiting.delete(resolve);
    }
  }

  /**
   * Stops reading in all runs; the pages that are worked on may end. Turns away who waits for a trigger. Resolves when the
   * runs have ended.
   */
  async interruptAll(): Promise<void> {
    this.stopped.abort(new ProcessClosedError('waitForTrigger()'));
    const runs = [...this.runs.values()];
    for (const run of runs) run.interrupt();
    await Promise.all(runs.map(({ completed }) => completed));
  }

  private async forgetWhenEnded(run: CursorRun, cause: TriggerCause): Promise<void> {
    const result = await run.completed;
    this.runs.delete(run.name);
    this.listener.runEnded(result, cause);
  }

  private tellWaiting(trigger: Trigger): void {
    const waiting = this.waiting.get(trigger.name);
    this.waiting.delete(trigger.name);
    for (const give of waiting ?? []) give(trigger);
  }

  private registered(name: string): RegisteredJob {
    const registered = this.jobs.get(name);
    if (registered === undefined) throw new UnknownCursorJobError(name, this.names);
    return registered;
  }
}
