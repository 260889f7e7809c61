import { SingleBatchContext } from './batch-context.js';
import { toError } from './to-error.js';
import type { Job } from './job.js';
import { isThenable } from './is-thenable.js';
import { Runner } from './runner.js';
import type { TakenBatch, TakenItem } from './waiting-items.js';
import type { Worker } from './worker.js';

/** Gives its worker up to `batchSize` items at a time. */
export class BatchRunner extends Runner {
  private readonly batch: TakenBatch = { payloads: [], kept: [], jobs: [], indices: [], attempts: [] };
  private context: SingleBatchContext | undefined = undefined;

  protected override async work(worker: Worker): Promise<void> {
    const { batch } = this;
    const { workload, slices, home } = this.setting;
    const { batchSize } = workload.options;
    while (this.stays()) {
      const size = workload.takeBatch(batch, batchSize);
      if (size === 0) {
        batch.payloads = [];
        batch.kept.length = 0;
        await new Promise<void>((resolve) => this.park(resolve));
        continue;
      }
      const context = new SingleBatchContext(workload.type, size, batch, this.tellProgress);
      this.context = context;
      this.holding = true;
      this.sequence++;
      this.startTiming();
      let failure: Error | undefined = undefined;
      try {
        const result = worker.processBatch!(batch.payloads, context);
        if (isThenable(result)) await result;
      } catch (error) {
        failure = toError(error);
      }
      if (this.retired) return;
      const durationMs = this.stopTiming();
      this.settle(context, failure);
      if (durationMs >= 0)
        home.attemptTimed(durationMs, size, failure === undefined ? 'completed' : 'failed');
      if (slices.spend(size)) await slices.pause();
    }
  }

  override abort(reason: Error, job?: Job): void {
    if (this.context === undefined || !this.holding) return;
    // Items of other jobs are in the batch as well, and must not suffer from the cancel of one.
    if (job !== undefined && !this.holdsOnly(job)) return;
    this.context.abort.abort(reason);
  }

  protected override failHeld(error: Error): string[] {
    const context = this.context!;
    const ids = Array.from({ length: context.size }, (_, place) => context.itemId(place));
    this.settle(context, error);
    return ids;
  }

  /** Whether `job` and others that were cancelled own all items. Redriven items of one that has ended are not its. */
  private holdsOnly(job: Job): boolean {
    const { jobs, indices } = this.batch;
    const held = jobs.slice(0, this.context!.size);
    return held.includes(job) && held.every((owner, place) => owner.dropsFailureOf(indices[place]!));
  }

  /** Settles each item of the batch: by its own failure, else by that of the whole, else as completed. */
  private settle(context: SingleBatchContext, failure: Error | undefined): void {
    context.close();
    this.holding = false;
    const { failures, size } = context;
    if (failure === undefined && failures === undefined) {
      this.completeRange(0, size);
      return;
    }
    for (let place = 0; place < size; place++) {
      const error = failures?.get(place) ?? failure;
      if (error === undefined) this.completeRange(place, place + 1);
      else this.setting.workload.fail(this.itemAt(place), error);
    }
  }

  /** Completes the items from `from` to before `to`; those that follow one another in a job in one go. */
  private completeRange(from: number, to: number): void {
    const { jobs, indices, attempts } = this.batch;
    let start = from;
    while (start < to) {
      let end = start + 1;
      while (
        end < to &&
        jobs[end] === jobs[start] &&
        indices[end] === indices[start]! + end - start &&
        attempts[end] === attempts[start]
      ) {
        end++;
      }
      this.setting.workload.complete(jobs[start]!, indices[start]!, end - start, attempts[start]!);
      start = end;
    }
  }

  private itemAt(place: number): TakenItem {
    const { kept, jobs, indices, attempts } = this.batch;
    return { payload: kept[place], job: jobs[place]!, index: indices[place]!, attempt: attempts[place]! };
  }
}
