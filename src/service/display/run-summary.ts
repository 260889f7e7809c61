/**
 * What a run of the service did. As JSON it is the report for machines; `renderSummary` is the one for
 * people.
 */
export interface RunSummary {
  /** ISO 8601, in UTC. */
  readonly started: string;
  readonly durationMs: number;
  /** One for each worker type, in the order of the report. */
  readonly sections: readonly SummarySection[];
  readonly workersOverTime: readonly WorkersOverTime[];
  /** What the database holds after the run. */
  readonly stored: StoredCounts;
  /** What of it was there before the run. Not given: nothing. */
  readonly storedBefore?: StoredBefore;
}

/** Rows by what they are. */
export interface StoredCounts {
  readonly users: number;
  /** Rows of the run whose email an earlier row has, of this run or of one before. */
  readonly duplicateUsers: number;
  readonly prices: number;
  readonly symbols: number;
  readonly webhooks: number;
  readonly repositories: number;
}

export type StoredBefore = Pick<StoredCounts, 'users' | 'prices' | 'webhooks'>;

export interface SummarySection {
  readonly workerType: string;
  /** Items that came in. */
  readonly items: number;
  readonly completed: number;
  /** Attempts that failed; an item that was retried may have several. */
  readonly failed: number;
  readonly deadLetters: number;
  readonly itemsPerSecond: number;
  /** Why attempts failed, the most frequent first. */
  readonly reasons: readonly ReasonCount[];
}

export interface ReasonCount {
  readonly reason: string;
  readonly count: number;
}

/** How many workers of a type ran, sampled in the order of time. */
export interface WorkersOverTime {
  readonly workerType: string;
  readonly samples: readonly WorkerSample[];
}

export interface WorkerSample {
  /** Since the start of the run. */
  readonly atMs: number;
  readonly workers: number;
}

/** The most frequent reasons, the most frequent first; those that are equally frequent by name. */
export function topReasons(counts: ReadonlyMap<string, number>, limit = 10): ReasonCount[] {
  return [...counts]
    .map(([reason, count]) => ({ reason, count }))
    .toSorted((a, b) => b.count - a.count || (a.reason < b.reason ? -1 : 1))
    .slice(0, limit);
}
