import type { Workload } from '../../core/workload.js';
import type { TypeQueues } from './type-queues.js';
import type { SharedPauseReason, TypeState } from './type-state.js';

const REASONS: readonly SharedPauseReason[] = ['requested', 'dead-letters-full'];

/** Pauses a worker type for all processes: none leases its items any more, and what they have leased is not started. */
export class SharedPause {
  constructor(
    private readonly workload: Workload,
    private readonly queues: TypeQueues,
    private readonly state: TypeState,
  ) {}

  async pause(reason: SharedPauseReason): Promise<void> {
    this.workload.pause(reason);
    await this.state.addPauseReason(reason);
    await Promise.all(this.queues.all.map(({ queue }) => queue.pause()));
  }

  async resume(reason: SharedPauseReason): Promise<void> {
    const left = await this.state.removePauseReason(reason);
    if (left.length === 0) await Promise.all(this.queues.all.map(({ queue }) => queue.resume()));
    this.workload.resume(reason);
  }

  /** Takes over what other processes have said. */
  takeOver(reasons: readonly SharedPauseReason[]): void {
    for (const reason of REASONS) {
      if (reasons.includes(reason)) this.workload.pause(reason);
      else this.workload.resume(reason);
    }
  }
}
