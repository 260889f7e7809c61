import type { Workload } from '../../core/workload.js';
import type { SharedPauseReason, SharedState, TypeState } from './type-state.js';

const REASONS: readonly SharedPauseReason[] = ['requested', 'dead-letters-full'];

/** Pauses a worker type for all processes: none leases its items any more, and what they have leased is not started. */
export class SharedPause {
  /** Grows with each change by this process: what was read of the store before is out of date then. */
  private changes = 0;

  constructor(
    private readonly workload: Pick<Workload, 'pause' | 'resume'>,
    private readonly state: Pick<TypeState, 'addPauseReason' | 'removePauseReason'>,
  ) {}

  async pause(reason: SharedPauseReason): Promise<void> {
    this.workload.pause(reason);
    await this.change(() => this.state.addPauseReason(reason));
  }

  async resume(reason: SharedPauseReason): Promise<void> {
    await this.change(() => this.state.removePauseReason(reason));
    this.workload.resume(reason);
  }

  private async change(act: () => Promise<void>): Promise<void> {
    this.changes++;
    try {
      await act();
    } finally {
      this.changes++;
    }
  }

  /** Takes over what other processes have said. @param read reads the reasons */
  async takeOver(read: () => Promise<SharedState>): Promise<SharedState> {
    const { changes } = this;
    const state = await read();
    if (changes === this.changes) this.takeOverReasons(state.pauseReasons);
    return state;
  }

  private takeOverReasons(reasons: readonly SharedPauseReason[]): void {
    for (const reason of REASONS) {
      if (reasons.includes(reason)) this.workload.pause(reason);
      else this.workload.resume(reason);
    }
  }
}
