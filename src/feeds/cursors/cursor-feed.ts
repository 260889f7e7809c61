import { describe } from '../../core/describe.js';
import { BackgroundWorkerError, ProcessClosedError } from '../../core/errors.js';
import { promiseWithResolve } from '../../core/promise-with-resolve.js';
import type { FeedDoor } from '../feed-door.js';
import { untilAborted } from '../until-aborted.js';
import type { CursorCache } from './cursor-cache.js';
import { CursorRun, type CursorJobDefinition } from './cursor-run.js';
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

/** The cursor jobs of an application: their triggers, and the runs under way. A job has one run at a time. */
export class CursorFeed {
  private readonly definitions = new Map<string, CursorJobDefinition>();
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
    return [...this.definitions.keys()];
  }

  /** @throws DuplicateCursorJobError */
  register(definition: CursorJobDefinition): void {
    if (this.definitions.has(definition.name)) throw new DuplicateCursorJobError(definition.name);
    this.definitions.set(definition.name, definition);
  }

  /**
   * Starts a run, unless one is under way already.
   *
   * @returns the run that is under way now
   * @throws UnknownCursorJobError
   */
  trigger(name: string, cause: TriggerCause): CursorRun {
    const definition = this.definition(name);
    const trigger: Trigger = { name, cause };
    const running = this.runs.get(name);
    if (running !== undefined) {
      this.listener.triggerSkipped(trigger);
      return running;
    }
    const run = new CursorRun(definition, this.door, this.cache);
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
    this.definition(name);
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

  private definition(name: string): CursorJobDefinition {
    const definition = this.definitions.get(name);
    if (definition === undefined) throw new UnknownCursorJobError(name, this.names);
    return definition;
  }
}
