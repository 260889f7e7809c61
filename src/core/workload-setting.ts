import type { Clock } from './clock.js';
import type { EventChannel } from './events.js';

/** What the workloads of a process share. */
export interface WorkloadSetting {
  readonly events: EventChannel;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** The sequence number of the next dead letter. */
  readonly nextDeathSequence: () => number;
}
