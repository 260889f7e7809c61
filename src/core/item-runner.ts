import { toError } from './to-error.js';
import { ReusedItemContext } from './item-context.js';
import { NOBODY, type Job } from './job.js';
import { isThenable } from './is-thenable.js';
import { Runner, type RunnerSetting } from './runner.js';
import type { TakenItem } from './waiting-items.js';
import type { Worker } from './worker.js';

/** Compared with only. */
const PROMISE_THEN: unknown = Reflect.get(Promise.prototype, 'then');

/** Gives its worker one item at a time. */
export class ItemRunner extends Runner {
  private readonly item: TakenItem = { payload: undefined, job: NOBODY, index: 0, attempt: 0 };
  private readonly context: ReusedItemContext;
  private worker!: Worker;
  private leave!: () => void;
  private breakOff!: (error: unknown) => void;

  constructor(setting: RunnerSetting) {
    super(setting);
    this.context = new ReusedItemContext(setting.workload.type, this.item, this.tellProgress);
  }

  protected override work(worker: Worker): Promise<void> {
    this.worker = worker;
    return new Promise((resolve, reject) => {
      this.leave = resolve;
      this.breakOff = reject;
      this.takeNext();
    });
  }

  /**
   * Works on one item after another until it has to wait. It goes on by callbacks that are made once: an `await` would save
   * and restore the state of the loop for each item, at a tenth of the rate.
   */
  private readonly takeNext = (): void => {
    const { item } = this;
    const { workload, slices } = this.setting;
    try {
      while (this.stays()) {
        if (!workload.take(item)) {
          item.payload = undefined;
          return this.park(this.takeNext);
        }
        const pending = this.begin();
        if (pending !== undefined) return void pending.then(this.completed, this.failed);
        if (slices.spend(1)) return void slices.pause().then(this.takeNext);
      }
      this.leave();
    } catch (error) {
      this.breakOff(error);
    }
  };

  /** Gives the taken item to the handler, and settles it if the handler is done. @returns what else to wait for */
  private begin(): Promise<unknown> | undefined {
    this.holding = true;
    this.sequence++;
    this.startTiming();
    let result: unknown;
    try {
      result = this.worker.processItem!(this.item.payload, this.context);
      if (isThenable(result)) return settledOnce(result);
    } catch (error) {
      this.settle(toError(error));
      return undefined;
    }
    this.settle(undefined);
    return undefined;
  }

  private readonly completed = (): void => this.goOn(undefined);

  private readonly failed = (error: unknown): void => this.goOn(toError(error));

  private goOn(failure: Error | undefined): void {
    // What it held was settled when its time was over.
    if (this.retired) return this.leave();
    const { slices } = this.setting;
    try {
      this.settle(failure);
      if (slices.spend(1)) return void slices.pause().then(this.takeNext);
    } catch (error) {
      return this.breakOff(error);
    }
    this.takeNext();
  }

  private settle(failure: Error | undefined): void {
    // A handler may have ended the pool before it returned.
    if (this.retired) return;
    const { item, context } = this;
    const durationMs = this.stopTiming();
    this.holding = false;
    if (context.used) context.reset();
    const { workload, home } = this.setting;
    if (failure === undefined) workload.complete(item.job, item.index, 1, item.attempt);
    else workload.fail(item, failure);
    if (durationMs >= 0) home.attemptTimed(durationMs, 1, failure === undefined ? 'completed' : 'failed');
  }

  override abort(reason: Error, job?: Job): void {
    if (!this.holding || (job !== undefined && this.item.job !== job)) return;
    this.context.used = true;
    this.context.abort.abort(reason);
  }

  protected override failHeld(error: Error): string[] {
    this.holding = false;
    const { id } = this.context;
    this.setting.workload.fail(this.item, error);
    return [id];
  }
}

/** A promise that calls back once. Another object with a `then` may call as often as it likes, and is followed by one. */
function settledOnce(result: PromiseLike<unknown>): Promise<unknown> {
  return isPlainPromise(result) ? result : new Promise((resolve) => resolve(result));
}

function isPlainPromise(result: PromiseLike<unknown>): result is Promise<unknown> {
  return (result.constructor as unknown) === Promise && result.then === PROMISE_THEN;
}
