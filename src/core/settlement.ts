import { checkedAnswer } from './checked-answer.js';
import type { DeadItem } from './dead-letters.js';
import { DeadLetterStore } from './dead-letters.js';
import { NonErrorThrownError, ProcessClosedError } from './errors.js';
import type { UnfinishedItem } from './events.js';
import { isThenable } from './is-thenable.js';
import type { ItemKeeper } from './item-keeper.js';
import type { Job } from './job.js';
import type { DeadReason, Outcome } from './outcome.js';
import { classifyFailure, type RetryPolicy } from './retry-policy.js';
import { toError } from './to-error.js';
import { UniqueKeys } from './unique-keys.js';
import type { TakenItem } from './waiting-items.js';
import type { WorkloadSetting } from './workload-setting.js';

const COMPLETED = Object.freeze({ kind: 'completed' } as const);

const isNoPromise = (answer: unknown) => !isThenable(answer);
const isShare = (answer: unknown) => typeof answer === 'number' && answer >= 0 && answer <= 1;

/** What a failed attempt ends as: its outcome, unless its job was cancelled or the process ends. */
export type Verdict =
  | Extract<Outcome, { kind: 'retry' | 'dead' }>
  | { readonly kind: 'cancelled' }
  /** Given to who takes what the end of the process leaves. */
  | { readonly kind: 'handed-back' }
  /** It waits again, as if the attempt had not been. */
  | { readonly kind: 'put-back' };

const CANCELLED: Verdict = Object.freeze({ kind: 'cancelled' });
const HANDED_BACK: Verdict = Object.freeze({ kind: 'handed-back' });
const PUT_BACK: Verdict = Object.freeze({ kind: 'put-back' });

/** What becomes of the items whose attempt fails, as far as an end of the process or its pool has to do with it. */
type Phase =
  /** They are retried, or die. */
  | 'open'
  /** The same; but those whose handler submitted in vain are handed back: the end is not their fault. */
  | 'draining'
  /** They are put back: nobody will work on them, and it is the end that made them fail, or may be. */
  | 'pool-ended';

/**
 * What became of the items of a worker type: ends them, counts them, tells of them, and keeps the dead ones. Where an
 * item goes that has not ended is the workload's business.
 */
export class Settlement {
  readonly deadLetters = new DeadLetterStore();
  completed = 0;
  /** Items that ended as dead letters and were not redriven. */
  dead = 0;
  /** Dead letters that were redriven, ever. */
  redriven = 0;
  cancelled = 0;
  handedBack = 0;
  /** Items that went back to who keeps them. */
  returned = 0;
  failedAttempts = 0;
  private readonly retry: RetryPolicy;
  private unique: UniqueKeys | undefined = undefined;
  private phase: Phase = 'open';
  private receiveUnfinished: (item: UnfinishedItem) => void = () => undefined;

  constructor(
    private readonly type: string,
    retry: RetryPolicy,
    private readonly setting: WorkloadSetting,
  ) {
    this.retry = { ...retry, retryable: (error) => this.isRetryable(retry, error) };
  }

  /** Items that have ended, ever. */
  get ended(): number {
    return this.completed + this.dead + this.redriven + this.cancelled + this.handedBack + this.returned;
  }

  /** The attempt of `count` items of `job`, from `index` on, succeeded. */
  complete(job: Job, index: number, count: number, attempts: number): void {
    this.completed += count;
    // Most jobs have none, and their items pay for this look alone.
    if (job.options !== undefined) this.completeByOptions(job, index, count, attempts);
    job.complete(count);
  }

  private completeByOptions(job: Job, index: number, count: number, attempts: number): void {
    this.forgetKeys(job, index, count);
    const { keeper, observer } = job.options!;
    keeper?.completed(index, count);
    if (observer === undefined) return;
    for (let i = 0; i < count; i++) this.tellObserver(job, index + i, COMPLETED, attempts);
  }

  /** Items of `job` have ended for good. */
  private forgetKeys({ uniqueKeys, orderKeys }: Job, index: number, count: number): void {
    uniqueKeys?.release(index, count);
    orderKeys?.delete(index, count);
  }

  /** The keys of items that may not come twice; made when they are first asked for. */
  get uniqueKeys(): UniqueKeys {
    return (this.unique ??= new UniqueKeys(this.setting.clock));
  }

  /**
   * What the failed attempt of an item ends as. The user's functions are asked for it, and may do anything; so nothing of
   * the item may have been counted or moved yet.
   */
  judge(item: TakenItem, error: Error): Verdict {
    const { job, index, attempt } = item;
    if (job.dropsFailureOf(index)) return CANCELLED;
    try {
      const atTheEnd = this.verdictOfTheEnd(error);
      if (atTheEnd !== undefined) return atTheEnd;
      const outcome = classifyFailure(this.retry, error, attempt, this.chance());
      // Whoever was asked may have cancelled it.
      return job.dropsFailureOf(index) ? CANCELLED : outcome;
    } catch {
      // An error that can't be looked at is a failure like any other.
      return this.judge(item, new NonErrorThrownError(error));
    }
  }

  /** The item awaits its next attempt. */
  retried({ job, index, attempt }: TakenItem, { delayMs, error }: Extract<Verdict, { kind: 'retry' }>): void {
    this.failedAttempts++;
    const { events } = this.setting;
    if (!events.has('retry')) return;
    events.emit('retry', { type: this.type, itemId: `${job.id}:${index}`, attempt, delayMs, error });
  }

  /** The item waits for its next attempt with who keeps it. */
  retriedElsewhere(item: TakenItem, keeper: ItemKeeper, verdict: Extract<Verdict, { kind: 'retry' }>): void {
    this.returned++;
    keeper.retry(item, verdict.delayMs);
    this.retried(item, verdict);
  }

  /** The item had its last attempt. */
  died(item: TakenItem, { reason, error }: Extract<Verdict, { kind: 'dead' }>): void {
    this.failedAttempts++;
    const keeper = item.job.options?.keeper;
    if (keeper !== undefined) {
      this.dead++;
      keeper.died(item, reason, error);
      return;
    }
    item.job.uniqueKeys?.release(item.index, 1);
    item.job.orderKeys?.bury(item.index);
    this.bury(item.job, item.index, item.payload, reason, error, item.attempt);
  }

  /** An item that a worker held is dropped as its job was cancelled. */
  drop({ job, index }: TakenItem): void {
    this.forgetKeys(job, index, 1);
    this.cancel(job, 1);
  }

  /** Items of `job` that no worker held are dropped as it was cancelled. */
  cancel(job: Job, count: number): void {
    this.cancelled += count;
    job.options?.keeper?.cancelled(count);
    job.end('cancelled', count);
  }

  /** Makes an item a dead letter. */
  bury(job: Job, index: number, payload: unknown, reason: DeadReason, error: Error, attempts: number): void {
    const { events, clock, nextDeathSequence } = this.setting;
    const letter = Object.freeze({
      id: `${job.id}:${index}`,
      type: this.type,
      jobId: job.id,
      index,
      payload,
      reason,
      error,
      attempts,
      diedAtMs: clock.wallNow(),
      sequence: nextDeathSequence(),
    });
    this.deadLetters.add({ letter, job });
    this.dead++;
    events.emit('deadLetter', letter);
    this.tellObserver(job, index, { kind: 'dead', reason, error }, attempts);
    job.end('failed', 1);
  }

  /** Takes a dead letter out to be run again. @returns undefined when there is none of this id */
  exhume(id: string): DeadItem | undefined {
    const item = this.deadLetters.remove(id);
    if (item === undefined) return undefined;
    item.job.orderKeys?.exhume(item.letter.index);
    item.job.reopenFailed(item.letter.index);
    this.dead--;
    this.redriven++;
    return item;
  }

  /** Forgets a dead letter for good. @returns whether there was one of this id */
  discard(id: string): boolean {
    const item = this.deadLetters.remove(id);
    item?.job.orderKeys?.discard(item.letter.index);
    return item !== undefined;
  }

  /** The process ends: items are handed back to `receive` from now on if their handler submitted in vain. */
  startDraining(receive: (item: UnfinishedItem) => void): void {
    if (this.phase === 'open') this.phase = 'draining';
    this.receiveUnfinished = receive;
  }

  /** From now on each item whose attempt fails is put back. */
  poolEnds(): void {
    this.phase = 'pool-ended';
  }

  /** What is handed back goes to `receive` from now on. */
  handBackTo(receive: (item: UnfinishedItem) => void): void {
    this.receiveUnfinished = receive;
  }

  handBack(item: TakenItem): void {
    const { job, index, payload, attempt } = item;
    const keeper = job.options?.keeper;
    if (keeper !== undefined) {
      this.returned++;
      keeper.handedBack(item);
      return;
    }
    this.handedBack++;
    this.forgetKeys(job, index, 1);
    if (job.options?.keptBySource !== true) {
      const id = `${job.id}:${index}`;
      this.receiveUnfinished({ id, type: this.type, jobId: job.id, index, payload, attempts: attempt - 1 });
    }
    job.end('handedBack', 1);
  }

  /** Undefined where the end has nothing to do with the failure. */
  private verdictOfTheEnd(error: Error): Verdict | undefined {
    switch (this.phase) {
      case 'open':
        return undefined;
      case 'draining':
        return error instanceof ProcessClosedError ? HANDED_BACK : undefined;
      case 'pool-ended':
        return PUT_BACK;
      default:
        return this.phase satisfies never;
    }
  }

  /** A `retryable` that fails must not cost the item its retry. */
  private isRetryable({ retryable }: RetryPolicy, error: Error): boolean {
    try {
      return checkedAnswer(retryable(error), 'true or false', isNoPromise);
    } catch (failure) {
      this.tellFailure('retryable', failure);
      return true;
    }
  }

  /** A number in [0, 1); where `random` gives none, one that means no jitter. */
  private chance(): number {
    try {
      return checkedAnswer(this.setting.random(), 'a number from 0 to 1', isShare);
    } catch (failure) {
      this.tellFailure('random', failure);
      return 0.5;
    }
  }

  /** An observer that throws must not end the worker that settles the item. */
  private tellObserver(
    job: Job,
    index: number,
    outcome: Exclude<Outcome, { kind: 'retry' }>,
    attempts: number,
  ): void {
    try {
      const told: unknown = job.options?.observer?.itemEnded(index, outcome, attempts);
      if (isThenable(told)) told.then(undefined, (error: unknown) => this.tellFailure('observer', error));
    } catch (error) {
      this.tellFailure('observer', error);
    }
  }

  private tellFailure(event: string, error: unknown): void {
    this.setting.events.emit('callbackFailed', { event, error: toError(error) });
  }
}
