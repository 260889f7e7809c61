/**
 * What became of the items of a worker type in this process. At any moment
 * `submitted = completed + dead + cancelled + handedBack + returned + waiting + delayed + running`.
 */
export interface WorkCounts {
  /** Items taken in, ever. */
  readonly submitted: number;
  readonly completed: number;
  /** Items that ended as dead letters, discarded ones included. A redriven one is open again. */
  readonly dead: number;
  readonly cancelled: number;
  /** Items that a shutdown gave back. */
  readonly handedBack: number;
  /**
   * Items that went back to the store of a durable engine: for their next attempt, or as this process ends. 0 in memory.
   */
  readonly returned: number;
  /** Items in the work queue. */
  readonly waiting: number;
  /** Items that wait for a moment, mostly of a retry. */
  readonly delayed: number;
  /** Items that workers hold. */
  readonly running: number;
  /** Attempts that failed, whatever became of their items. */
  readonly failedAttempts: number;
}

/** Adds up the counts of several worker types. */
export function sumCounts(counts: readonly WorkCounts[]): WorkCounts {
  const sum = {
    submitted: 0,
    completed: 0,
    dead: 0,
    cancelled: 0,
    handedBack: 0,
    returned: 0,
    waiting: 0,
    delayed: 0,
    running: 0,
    failedAttempts: 0,
  };
  for (const count of counts) {
    for (const name of Object.keys(sum) as (keyof WorkCounts)[]) sum[name] += count[name];
  }
  return sum;
}
