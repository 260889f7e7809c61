import type { DeadReason } from './outcome.js';
import type { TakenItem } from './waiting-items.js';

/**
 * Keeps the items of a job outside this process, which has leased them: what becomes of them is written down there. An item
 * that it is given is a record that is used again.
 */
export interface ItemKeeper {
  completed(index: number, count: number): void;
  /** The item is to run again after `delayMs`, in whatever process: it is given anew then. */
  retry(item: TakenItem, delayMs: number): void;
  /** The item had its last attempt. */
  died(item: TakenItem, reason: DeadReason, error: Error): void;
  /** Items were dropped with their job. */
  cancelled(count: number): void;
  /** The item has not ended, and this process does not work on it any more: no attempt is counted. */
  handedBack(item: TakenItem): void;
}
