import { checkedAnswer } from './checked-answer.js';
import type { EventChannel } from './events.js';
import {
  smooth,
  thresholdScaling,
  wantedWorkers,
  type ScalingInput,
  type SmoothedScale,
} from './scaling-policy.js';
import { toError } from './to-error.js';
import type { Workload } from './workload.js';

const isNumber = (answer: unknown) => typeof answer === 'number' && !Number.isNaN(answer);

/** How many workers a worker type wants: its scaling policy, smoothed, and where in the queue's size it is asked again. */
export class ShareScale {
  private scale: SmoothedScale = { workers: 0, fewerSinceMs: undefined, peak: 0 };
  private policyFailed = false;

  constructor(
    private readonly workload: Workload,
    private readonly events: EventChannel,
  ) {}

  /** Workers that the type wants now, smoothed. */
  wanted(nowMs: number): number {
    const { depth, isPaused, options, type, usefulWorkers } = this.workload;
    const { minWorkers, maxConcurrency, scalingThreshold, scaleDownDelayMs } = options;
    if (isPaused) return 0;
    if (depth === 0) return minWorkers;
    const input = { type, queueSize: depth, scalingThreshold, maxConcurrency, current: this.scale.workers };
    const wanted = Math.max(minWorkers, Math.min(this.askPolicy(input), usefulWorkers));
    this.scale = smooth(this.scale, wanted, nowMs, scaleDownDelayMs);
    return this.scale.workers;
  }

  /** Counts `workers` as what the formula gave, so that smoothing starts from there. */
  override(workers: number): void {
    this.scale = { workers, fewerSinceMs: undefined, peak: workers };
  }

  /** Asks the workload to be told at the next multiple of the threshold, either way. */
  watchDepth(): void {
    const { depth, options } = this.workload;
    const { scalingThreshold: threshold, scalingPolicy } = options;
    if (depth === 0) {
      this.workload.watchDepth(0, 0);
    } else if (scalingPolicy === thresholdScaling) {
      this.watchFormula();
    } else {
      const multiple = Math.floor(depth / threshold);
      this.workload.watchDepth(multiple * threshold, (multiple + 1) * threshold - 1);
    }
  }

  /**
   * It is known where the formula gives another number, and which of its numbers smoothing takes heed of: the first that
   * is lower, and from then on those above the peak. Asking at the multiples between would change nothing.
   */
  private watchFormula(): void {
    const { scalingThreshold: threshold, maxConcurrency, minWorkers } = this.workload.options;
    const { workers, fewerSinceMs, peak } = this.scale;
    const isFewer = fewerSinceMs !== undefined;
    const isLeast = workers <= Math.max(1, minWorkers);
    const heeded = isFewer ? peak : workers;
    const highest = heeded >= maxConcurrency ? Infinity : (heeded + 1) * threshold - 1;
    this.workload.watchDepth(isFewer || isLeast ? 0 : workers * threshold, highest);
  }

  /** A policy that fails must not stop the pool: the default takes its place, and the first failure in a row is told. */
  private askPolicy(input: ScalingInput): number {
    const { scalingPolicy } = this.workload.options;
    try {
      const answer = checkedAnswer(scalingPolicy(input), 'a number of workers', isNumber);
      this.policyFailed = false;
      return wantedWorkers(answer, input.maxConcurrency);
    } catch (error) {
      if (!this.policyFailed)
        this.events.emit('callbackFailed', { event: 'scalingPolicy', error: toError(error) });
      this.policyFailed = true;
      return wantedWorkers(thresholdScaling(input), input.maxConcurrency);
    }
  }
}
