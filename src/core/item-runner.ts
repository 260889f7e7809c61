import { InvalidWorkerError } from './errors.js';
import { toError } from './to-error.js';
import { ReusedItemContext } from './item-context.js';
import { NOBODY, type Job } from './job.js';
import { isThenable } from './is-thenable.js';
import { Runner, type RunnerSetting } from './runner.js';
import type { TakenItem } from './work-queue.js';
import { workerMode, type Worker } from './worker.js';

/** Gives its worker one item at a time. */
export class ItemRunner extends Runner {
  private readonly item: TakenItem = { payload: undefined, job: NOBODY, index: 0, attempt: 0 };
  private readonly context: ReusedItemContext;

  constructor(setting: RunnerSetting) {
    super(setting);
    this.context = new ReusedItemContext(setting.workload.type, this.item, this.tellProgress);
  }

  protected override adopt(worker: Worker<never>): void {
    const mode = workerMode(worker);
    if (mode !== 'item') {
      const problem =
        typeof mode === 'string'
          ? 'expected a worker with processItem, as the registered class has it'
          : mode.problem;
      throw new InvalidWorkerError(this.setting.workload.type, problem);
    }
  }

  protected override async work(worker: Worker): Promise<void> {
    const { item, context } = this;
    const { workload, slices } = this.setting;
    while (this.stays()) {
      if (!workload.take(item)) {
        item.payload = undefined;
        await this.park();
        continue;
      }
      this.holding = true;
      this.sequence++;
      const startedMs = this.startTiming();
      let failure: Error | undefined = undefined;
      try {
        const result = worker.processItem!(item.payload, context);
        if (isThenable(result)) await result;
      } catch (error) {
        failure = toError(error);
      }
      if (this.retired) return;
      if (startedMs >= 0) this.endTiming(startedMs, 1, failure === undefined ? 'completed' : 'failed');
      this.holding = false;
      if (context.used) context.reset();
      if (failure === undefined) workload.complete(item.job, item.index, 1, item.attempt);
      else workload.fail(item, failure);
      if (slices.spend(1)) await slices.pause();
    }
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
