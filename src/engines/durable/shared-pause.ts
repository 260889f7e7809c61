import type { Workload } from '../../core/workload.js';
import type { TypeQueue, TypeQueues } from './type-queues.js';
import type { SharedPauseReason, TypeState } from './type-state.js';

const REASONS: readonly SharedPauseReason[] = ['requested', 'dead-letters-full'];

/** Pauses a worker type for all processes: none leases its items any more, and what they have leased is not started. */
export class SharedPause {
  /** Grows with each change by this process: what was read of the store before is out of date then. */
  private changes = 0;
  /** Queues that did not do as the reasons say when they were looked at last. */
  private astray: ReadonlySet<TypeQueue> = new Set();

  constructor(
    private readonly workload: Workload,
    private readonly queues: TypeQueues,
    private readonly state: TypeState,
  ) {}

  async pause(reason: SharedPauseReason): Promise<void> {
    this.workload.pause(reason);
    await this.change(async () => {
      await this.state.addPauseReason(reason);
      // Those too that this process has not used yet: others have.
      await Promise.all(this.allQueues.map(({ queue }) => queue.pause()));
    });
  }

  async resume(reason: SharedPauseReason): Promise<void> {
    await this.change(async () => {
      const left = await this.state.removePauseReason(reason);
      if (left.length === 0) await Promise.all(this.allQueues.map(({ queue }) => queue.resume()));
    });
    this.workload.resume(reason);
  }

  private get allQueues() {
    return [...this.queues.lanes, ...this.queues.partitions];
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
  async takeOver<State extends { readonly pauseReasons: readonly SharedPauseReason[] }>(
    read: () => Promise<State>,
  ): Promise<State> {
    const { changes } = this;
    const state = await read();
    if (changes !== this.changes) return state;
    this.takeOverReasons(state.pauseReasons);
    await this.mend(state.pauseReasons.length > 0, changes);
    return state;
  }

  /**
   * The reasons count; each queue is paused or resumed after them. Whoever dies in between, or pauses while another one resumes,
   * leaves a queue that does otherwise: it is set right when it is seen so twice, as the first time somebody may be about to.
   */
  private async mend(isPaused: boolean, changes: number): Promise<void> {
    const { all } = this.queues;
    const areRight = await Promise.all(all.map(async ({ queue }) => (await queue.isPaused()) === isPaused));
    const astray = all.filter((_, place) => !areRight[place]);
    const again = astray.filter((one) => this.astray.has(one));
    this.astray = new Set(astray);
    if (changes !== this.changes) return;
    await Promise.all(again.map(({ queue }) => (isPaused ? queue.pause() : queue.resume())));
  }

  private takeOverReasons(reasons: readonly SharedPauseReason[]): void {
    for (const reason of REASONS) {
      if (reasons.includes(reason)) this.workload.pause(reason);
      else this.workload.resume(reason);
    }
  }
}
