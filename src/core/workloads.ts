import { sumCounts, type WorkCounts } from './counts.js';
import {
  checkQuery,
  checkSelection,
  type DeadLetter,
  type DeadLetterQuery,
  type DeadLetterSelection,
} from './dead-letters.js';
import { DuplicateWorkerTypeError, UnknownWorkerTypeError } from './errors.js';
import type { Job } from './job.js';
import type { Workload } from './workload.js';

/** The workloads of a process, by worker type, and what is asked of one or of all. */
export class Workloads {
  private readonly byType = new Map<string, Workload>();

  /** @throws DuplicateWorkerTypeError when the type is known already */
  refuseKnown(type: string): void {
    if (this.byType.has(type)) throw new DuplicateWorkerTypeError(type);
  }

  add(workload: Workload): void {
    this.byType.set(workload.type, workload);
  }

  get types(): string[] {
    return [...this.byType.keys()];
  }

  /** @throws UnknownWorkerTypeError */
  get(type: string): Workload {
    const workload = this.byType.get(type);
    if (workload === undefined) throw new UnknownWorkerTypeError(type, this.types);
    return workload;
  }

  /** That of one type, or all. @throws UnknownWorkerTypeError */
  select(type: string | undefined): Workload[] {
    return type === undefined ? [...this.byType.values()] : [this.get(type)];
  }

  counts(type: string | undefined): WorkCounts {
    return sumCounts(this.select(type).map((workload) => workload.counts));
  }

  retryNow(type: string | undefined): number {
    return sum(this.select(type), (workload) => workload.retryNow());
  }

  /** Looks at the delayed items of each type once, however many jobs there are. */
  retryJobs(jobs: Iterable<Job>): number {
    const jobsByType = new Map<string, Job[]>();
    for (const job of jobs) {
      const ofType = jobsByType.get(job.type);
      if (ofType === undefined) jobsByType.set(job.type, [job]);
      else ofType.push(job);
    }
    return [...jobsByType].reduce((total, [type, ofType]) => total + this.get(type).retryNow(ofType), 0);
  }

  deadLetters(query: DeadLetterQuery): DeadLetter[] {
    checkQuery(query);
    const { type, limit = 100, after = 0 } = query;
    return this.select(type)
      .flatMap((workload) => workload.deadLetters.list(after, limit))
      .toSorted((a, b) => a.sequence - b.sequence)
      .slice(0, limit);
  }

  redrive(selection: DeadLetterSelection): number {
    checkSelection(selection);
    const { ids, type } = selection;
    const workloads = this.select(type);
    if (ids !== undefined) for (const { deadLetters } of workloads) deadLetters.refuseRejected(ids);
    return sum(workloads, (workload) => workload.redrive(ids ?? workload.deadLetters.redrivable()));
  }

  discard(selection: DeadLetterSelection): number {
    checkSelection(selection);
    const { ids, type } = selection;
    return sum(this.select(type), (workload) => workload.discard(ids ?? workload.deadLetters.ids()));
  }
}

function sum(workloads: readonly Workload[], count: (workload: Workload) => number): number {
  return workloads.reduce((total, workload) => total + count(workload), 0);
}
