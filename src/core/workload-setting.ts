import type { Clock } from './clock.js';
import type { EventChannel } from './events.js';

/** What the workloads of a process share. */
export interface WorkloadSetting {
  readonly events: EventChannel;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Items that a handler is given at once, at the most; 1 where it is given each alone. */
  readonly itemsAtOnce: number;
  /** The sequence number of the next dead letter. */
  readonly nextDeathSequence: () => number;
}
