/** How far ahead of its workers a process leases, in milliseconds of their work: longer than a lease takes to be answered. */
const AHEAD_MS = 50;

/**
 * How many items of a worker type a process shall hold, those included that its workers have: as many as its workers are done
 * with by the time that the next lease is answered, and never more than a little, so that others have some as well and a
 * process that dies leaves little behind.
 *
 * @param itemsPerMs items that have ended lately
 * @param workers workers that there may be
 * @param itemsAtOnce items that a worker is given at once
 */
export function itemsToHold(itemsPerMs: number, workers: number, itemsAtOnce: number): number {
  return Math.max(2 * workers * itemsAtOnce, Math.ceil(itemsPerMs * AHEAD_MS));
}
