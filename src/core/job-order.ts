import type { UnfinishedItem } from './events.js';

/** `items` with those of each job in the order in which they were submitted, job by job. */
export function inJobOrder(items: readonly UnfinishedItem[]): UnfinishedItem[] {
  const byJob = new Map<string, UnfinishedItem[]>();
  for (const item of items) {
    const ofJob = byJob.get(item.jobId);
    if (ofJob === undefined) byJob.set(item.jobId, [item]);
    else ofJob.push(item);
  }
  return [...byJob.values()].flatMap((ofJob) => ofJob.toSorted((a, b) => a.index - b.index));
}
