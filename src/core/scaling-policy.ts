/** What a scaling policy may look at. */
export interface ScalingInput {
  readonly type: string;
  /** Items that wait or run. */
  readonly queueSize: number;
  /** The worker type's threshold: items for each worker. */
  readonly scalingThreshold: number;
  /** The most workers that the type may have. */
  readonly maxConcurrency: number;
  /** The workers that it was last given. */
  readonly current: number;
}

/**
 * How many workers a worker type wants. Asked when the queue size crosses a multiple of `scalingThreshold`, in either
 * direction, as long as the queue is not empty; the answer is rounded down and kept within 1 and `maxConcurrency`.
 * Several multiples crossed in one synchronous stretch are asked about once, at its end.
 */
export type ScalingPolicy = (input: ScalingInput) => number;

/** `min(maxConcurrency, max(1, queueSize / scalingThreshold))`: below the threshold, one worker. */
export const thresholdScaling: ScalingPolicy = ({ queueSize, scalingThreshold, maxConcurrency }) =>
  Math.min(maxConcurrency, Math.max(1, queueSize / scalingThreshold));

/** A policy's answer as a number of workers that can be given. */
export function wantedWorkers(answer: number, maxConcurrency: number): number {
  return Math.min(maxConcurrency, Math.max(1, Math.floor(answer)));
}

/** What smoothing remembers of a worker type. */
export interface SmoothedScale {
  readonly workers: number;
  /** Since when fewer have been wanted; undefined while they are not. */
  readonly fewerSinceMs: number | undefined;
  /** The most that was wanted since then. */
  readonly peak: number;
}

/**
 * Keeps the number of workers from flapping: more are given at once, fewer only after `scaleDownDelayMs` in which
 * fewer were wanted all the time, and then as many as the most that was wanted in that time (the stabilisation window
 * of the Kubernetes horizontal autoscaler).
 */
export function smooth(
  before: SmoothedScale,
  wanted: number,
  nowMs: number,
  scaleDownDelayMs: number,
): SmoothedScale {
  if (wanted >= before.workers) return { workers: wanted, fewerSinceMs: undefined, peak: wanted };
  const sinceMs = before.fewerSinceMs ?? nowMs;
  const peak = before.fewerSinceMs === undefined ? wanted : Math.max(before.peak, wanted);
  if (nowMs - sinceMs < scaleDownDelayMs) return { workers: before.workers, fewerSinceMs: sinceMs, peak };
  return { workers: peak, fewerSinceMs: wanted < peak ? nowMs : undefined, peak: wanted };
}
