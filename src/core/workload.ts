import { Admission, type Producer } from './admission.js';
import type { Clock } from './clock.js';
import type { WorkCounts } from './counts.js';
import { DeadLetterStore, type DeadLetter } from './dead-letters.js';
import { QueueFullError } from './errors.js';
import { toError } from './to-error.js';
import type { EventChannel, PauseReason, UnfinishedItem } from './events.js';
import type { Job } from './job.js';
import type { WorkerTypeOptions } from './options.js';
import type { DeadReason, Outcome } from './outcome.js';
import { classifyFailure } from './retry-policy.js';
import { RetrySchedule } from './retry-schedule.js';
import { Envelope } from './run.js';
import { WorkQueue, type TakenBatch, type TakenItem } from './work-queue.js';

/** Told when there is something for the pool to do. Both are called once for many changes. */
export interface WorkloadListener {
  /** Items arrived while a worker was free to take them. */
  itemsArrived(): void;
  /** The depth left the range that `watchDepth` was given. */
  depthCrossed(): void;
}

interface DeadEntry {
  readonly letter: DeadLetter;
  readonly job: Job;
}

/**
 * Everything that one worker type has to do: the items that wait, are delayed, run or are dead, and what became of the
 * others. Workers take items from here and settle them here; nobody else changes a count.
 */
export class Workload {
  /** Set while a worker waits for an item, so that a push pays for nothing but this look. */
  hungry = false;
  running = 0;
  private readonly queue = new WorkQueue();
  private readonly delayed: RetrySchedule;
  private readonly dead = new DeadLetterStore<DeadEntry>();
  private readonly admission: Admission;
  private readonly pauseReasons = new Set<PauseReason>();
  private readonly waiters = new Set<{ isReached: () => boolean; resolve: () => void }>();
  private submitted = 0;
  private completed = 0;
  private diedCount = 0;
  private cancelled = 0;
  private handedBack = 0;
  private failedAttempts = 0;
  private lowestDepth = 0;
  private highestDepth = 0;
  private receiveUnfinished: ((item: UnfinishedItem) => void) | undefined = undefined;
  private isClosed = false;
  private listener: WorkloadListener = { itemsArrived: () => undefined, depthCrossed: () => undefined };

  constructor(
    readonly type: string,
    readonly options: WorkerTypeOptions,
    private readonly events: EventChannel,
    private readonly clock: Clock,
    private readonly random: () => number,
  ) {
    this.admission = new Admission(this, options.maxQueueSize, options.maxWaitingProducers, clock);
    this.delayed = new RetrySchedule(
      clock,
      (envelope) => this.queue.pushEnvelope(envelope),
      () => this.arrived(),
    );
  }

  attach(listener: WorkloadListener): void {
    this.listener = listener;
  }

  get waiting(): number {
    return this.queue.size;
  }

  /** Items that the bound counts: those that wait and those that are delayed. */
  get held(): number {
    return this.queue.size + this.delayed.size;
  }

  /** Items that want a worker: those that wait and those that run. */
  get depth(): number {
    return this.queue.size + this.running;
  }

  /** Items that have ended, ever. */
  get ended(): number {
    return this.completed + this.diedCount + this.cancelled + this.handedBack;
  }

  /** Whether nothing waits, runs or is delayed, and no producer waits for room. */
  get isDone(): boolean {
    return this.running === 0 && this.held === 0 && this.admission.waitingProducers === 0;
  }

  get isPaused(): boolean {
    return this.pauseReasons.size > 0;
  }

  get counts(): WorkCounts {
    return {
      submitted: this.submitted,
      completed: this.completed,
      dead: this.diedCount,
      cancelled: this.cancelled,
      handedBack: this.handedBack,
      waiting: this.queue.size,
      delayed: this.delayed.size,
      running: this.running,
      failedAttempts: this.failedAttempts,
    };
  }

  // ── in ────────────────────────────────────────────────────────────────────

  /** Takes one item of `job` in. @returns false, and takes nothing, when there is no room */
  submit(job: Job, payload: unknown): boolean {
    if (this.admission.waitingProducers > 0 || this.held >= this.options.maxQueueSize) return false;
    this.admit(job, payload);
    return true;
  }

  /** Takes `payloads[from ..]` of `job` in, as many as there is room for. @returns how many */
  submitMany(job: Job, payloads: readonly unknown[], from: number): number {
    const count = Math.min(payloads.length - from, this.admission.room);
    if (count > 0) this.admitMany(job, payloads, from, from + count);
    return count;
  }

  /** Takes an item in without asking for room; for a producer whose turn it is. */
  admit(job: Job, payload: unknown): void {
    this.queue.push(job, job.accept(), payload);
    this.submitted++;
    this.arrived();
  }

  /** Takes `payloads[from .. to)` in without asking for room; for a producer whose turn it is. */
  admitMany(job: Job, payloads: readonly unknown[], from: number, to: number): void {
    this.queue.pushMany(job, job.acceptMany(to - from), payloads, from, to);
    this.submitted += to - from;
    this.arrived();
  }

  /** @throws QueueFullError when as many producers wait for room as may, so that no further submission is taken */
  refuseIfLineIsFull(): void {
    if (!this.admission.lineIsFull) return;
    throw new QueueFullError(this.type, this.options.maxQueueSize, this.options.maxWaitingProducers);
  }

  /** Puts `producer` in line for room; one that has been taken joins again and again. */
  waitForRoom(producer: Producer): void {
    this.admission.join(producer);
  }

  stopWaitingForRoom(producer: Producer): void {
    this.admission.leave(producer);
  }

  /** Makes an item of `job` a dead letter that no worker has seen. */
  reject(job: Job, payload: unknown, error: Error): void {
    const index = job.accept();
    this.submitted++;
    this.bury(job, index, payload, 'rejected', error, 0);
  }

  private arrived(): void {
    if (this.isClosed) return this.handBackHeld();
    if (this.hungry) {
      this.hungry = false;
      this.listener.itemsArrived();
    }
    if (this.depth > this.highestDepth) this.crossed();
  }

  // ── to the workers ────────────────────────────────────────────────────────

  take(item: TakenItem): boolean {
    if (this.pauseReasons.size > 0 || !this.queue.take(item)) return false;
    this.running++;
    if (this.admission.waitingProducers > 0) this.admission.roomMade();
    return true;
  }

  /** @returns how many were taken */
  takeBatch(batch: TakenBatch, limit: number): number {
    if (this.pauseReasons.size > 0) return 0;
    const count = this.queue.takeBatch(batch, limit);
    this.running += count;
    if (count > 0 && this.admission.waitingProducers > 0) this.admission.roomMade();
    return count;
  }

  // ── out ───────────────────────────────────────────────────────────────────

  /** The attempt of `count` items of `job`, from `index` on, succeeded. */
  complete(job: Job, index: number, count: number, attempts: number): void {
    this.running -= count;
    this.completed += count;
    if (job.observer !== undefined) {
      for (let i = 0; i < count; i++) this.tellObserver(job, index + i, COMPLETED, attempts);
    }
    job.end('done', count);
    this.left();
  }

  /** The attempt failed: the item is retried, dies, or (while the process gives back) is handed back. */
  fail(item: TakenItem, error: Error): void {
    const { job, index, payload, attempt } = item;
    this.running--;
    if (job.dropsFailures) {
      this.endCancelled(job, 1);
    } else if (this.receiveUnfinished !== undefined) {
      this.handBack(item);
    } else {
      this.failedAttempts++;
      const outcome = classifyFailure(this.options.retry, error, attempt, this.random());
      switch (outcome.kind) {
        case 'retry':
          this.delayed.add(new Envelope(payload, job, index, attempt), outcome.delayMs);
          if (this.events.has('retry')) {
            const itemId = `${job.id}:${index}`;
            this.events.emit('retry', { type: this.type, itemId, attempt, delayMs: outcome.delayMs, error });
          }
          break;
        case 'dead':
          this.bury(job, index, payload, outcome.reason, error, attempt);
          break;
        default:
          outcome satisfies never;
      }
    }
    this.left();
  }

  private left(): void {
    if (this.depth < this.lowestDepth) this.crossed();
    if (this.running === 0 && this.waiters.size > 0) this.tellWaiters();
  }

  /** An observer that throws must not end the worker that settles the item. */
  private tellObserver(
    job: Job,
    index: number,
    outcome: Exclude<Outcome, { kind: 'retry' }>,
    attempts: number,
  ): void {
    try {
      job.observer?.itemEnded(index, outcome, attempts);
    } catch (error) {
      this.events.emit('listenerFailed', { event: 'observer', error: toError(error) });
    }
  }

  private endCancelled(job: Job, count: number): void {
    this.cancelled += count;
    job.end('cancelled', count);
  }

  // ── retries ───────────────────────────────────────────────────────────────

  /** Brings every delayed item back to the queue now. @returns how many */
  retryNow(): number {
    return this.delayed.releaseAll();
  }

  // ── dead letters ──────────────────────────────────────────────────────────

  get deadLetters(): DeadLetterStore<DeadEntry> {
    return this.dead;
  }

  /** Puts dead letters back into the queue, with all their attempts before them. @returns how many there were */
  redrive(ids: readonly string[]): number {
    let count = 0;
    for (const id of ids) {
      const entry = this.dead.remove(id);
      if (entry === undefined) continue;
      const { job, letter } = entry;
      job.reopenFailed(1);
      this.diedCount--;
      this.queue.pushEnvelope(new Envelope(letter.payload, job, letter.index, 0));
      count++;
    }
    if (count > 0) {
      this.deadLettersLeft();
      this.arrived();
    }
    return count;
  }

  /** Forgets dead letters for good. @returns how many there were */
  discard(ids: readonly string[]): number {
    const count = ids.filter((id) => this.dead.remove(id) !== undefined).length;
    if (count > 0) this.deadLettersLeft();
    return count;
  }

  private bury(
    job: Job,
    index: number,
    payload: unknown,
    reason: DeadReason,
    error: Error,
    attempts: number,
  ): void {
    const letter = Object.freeze({
      id: `${job.id}:${index}`,
      type: this.type,
      jobId: job.id,
      index,
      payload,
      reason,
      error,
      attempts,
      diedAtMs: this.clock.wallNow(),
    });
    this.dead.add({ letter, job });
    this.diedCount++;
    this.events.emit('deadLetter', letter);
    this.tellObserver(job, index, { kind: 'dead', reason, error }, attempts);
    job.end('failed', 1);
    if (this.dead.size >= this.options.maxDeadLetters) this.pause('dead-letters-full');
  }

  private deadLettersLeft(): void {
    if (this.dead.size < this.options.maxDeadLetters) this.resume('dead-letters-full');
  }

  // ── pause, cancel, shutdown ───────────────────────────────────────────────

  pause(reason: PauseReason): void {
    if (this.pauseReasons.has(reason)) return;
    this.pauseReasons.add(reason);
    this.events.emit('paused', { type: this.type, reason });
    this.crossed();
    this.tellWaiters();
  }

  resume(reason: PauseReason): void {
    if (!this.pauseReasons.delete(reason)) return;
    this.events.emit('resumed', { type: this.type, reason });
    this.crossed();
    this.listener.itemsArrived();
  }

  /** Drops the items of a cancelled job that no worker holds. */
  dropJob(job: Job): void {
    const dropped = this.queue.removeJob(job) + this.delayed.remove((envelope) => envelope.job === job);
    if (dropped > 0) this.endCancelled(job, dropped);
    if (this.admission.waitingProducers > 0) this.admission.roomMade();
    this.left();
  }

  /** Turns producers away that wait for room; used when the process takes no more work. */
  closeAdmission(): void {
    this.admission.close();
    this.tellWaiters();
  }

  /** From now on an attempt that fails hands its item to `receive` in place of a retry. */
  startHandingBack(receive: (item: UnfinishedItem) => void): void {
    this.receiveUnfinished = receive;
  }

  /** Hands back all that waits or is delayed, and at once whatever still comes. */
  handBackHeld(): void {
    this.isClosed = true;
    this.delayed.releaseAll();
    const item: TakenItem = { payload: undefined, job: undefined as never, index: 0, attempt: 0 };
    while (this.queue.take(item)) this.handBack(item);
    this.left();
  }

  private handBack({ job, index, payload, attempt }: TakenItem): void {
    this.handedBack++;
    const id = `${job.id}:${index}`;
    this.receiveUnfinished?.({ id, type: this.type, jobId: job.id, index, payload, attempts: attempt - 1 });
    job.end('handedBack', 1);
  }

  // ── waited for ────────────────────────────────────────────────────────────

  /** Resolves when `isDone`. */
  whenDone(): Promise<void> {
    return this.when(() => this.isDone);
  }

  /** Resolves when nothing runs, and nothing that may start is due by `deadlineMs` of the clock. */
  whenNothingDueBy(deadlineMs: number): Promise<void> {
    return this.when(() => {
      if (this.running > 0) return false;
      if (this.isPaused) return true;
      return this.queue.size === 0 && (this.delayed.nextDueMs ?? Infinity) > deadlineMs;
    });
  }

  private when(isReached: () => boolean): Promise<void> {
    if (isReached()) return Promise.resolve();
    return new Promise((resolve) => this.waiters.add({ isReached, resolve }));
  }

  private tellWaiters(): void {
    for (const waiter of this.waiters) {
      if (!waiter.isReached()) continue;
      this.waiters.delete(waiter);
      waiter.resolve();
    }
  }

  // ── watched by the pool ───────────────────────────────────────────────────

  /** Asks to be told once when the depth falls below `lowest` or rises above `highest`. */
  watchDepth(lowest: number, highest: number): void {
    this.lowestDepth = lowest;
    this.highestDepth = highest;
  }

  private crossed(): void {
    this.watchDepth(0, Infinity);
    this.listener.depthCrossed();
  }
}

const COMPLETED = Object.freeze({ kind: 'completed' } as const);
