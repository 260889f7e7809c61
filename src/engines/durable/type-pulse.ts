import type { Clock, Timer } from '../../core/clock.js';
import type { Workload } from '../../core/workload.js';
import { itemsOfChunk } from './chunk-format.js';
import type { TypeQueues } from './type-queues.js';
import type { SharedPause } from './shared-pause.js';
import type { TypeState } from './type-state.js';

/** How often a process tells that it lives, and looks at what it shares with others, in milliseconds. */
const BEAT_MS = 1_000;

/** Chunks whose ids are looked at, to estimate how many items one has. */
const SAMPLED = 100;

/** What the pulse belongs to. */
interface PulsedType {
  readonly workload: Workload;
  readonly queues: TypeQueues;
  readonly state: TypeState;
  readonly pauses: SharedPause;
  /** Whether items with order keys are there, as far as the store knows. */
  learnOrdered(isOrdered: boolean): Promise<void>;
  resumeWhenRoomForDead(): Promise<void>;
  /** Whether items may be leased has changed. */
  pauseChanged(): void;
}

/** Keeps a worker type of this process in step with the others: pauses, and its part of the queue's depth. */
export class TypePulse {
  private timer: Timer | undefined = undefined;
  private isStopped = false;

  constructor(
    private readonly type: PulsedType,
    private readonly setting: {
      readonly clock: Clock;
      readonly replicaId: string;
      readonly troubled: (error: unknown) => void;
    },
  ) {}

  start(): void {
    void this.beat();
  }

  stop(): void {
    this.isStopped = true;
    this.timer?.cancel();
    this.type.workload.setOutside(0);
  }

  private async beat(): Promise<void> {
    try {
      const { state, queues } = this.type;
      const shared = await this.type.pauses.takeOver(() => state.beat(this.setting.replicaId));
      await this.type.learnOrdered(shared.isOrdered);
      if (shared.pauseReasons.includes('dead-letters-full')) await this.type.resumeWhenRoomForDead();
      this.type.pauseChanged();
      const waiting = await countWaiting(queues);
      if (!this.isStopped) this.type.workload.setOutside(Math.ceil(waiting / shared.replicas));
    } catch (error) {
      // Its connections may have been closed meanwhile.
      if (!this.isStopped) this.setting.troubled(error);
    }
    if (!this.isStopped) this.timer = this.setting.clock.setTimer(() => void this.beat(), BEAT_MS);
  }
}

/** Items that wait, by the number of chunks and by what some of them have. */
async function countWaiting({ all }: TypeQueues): Promise<number> {
  const counts = await Promise.all(
    all.map(async ({ queue }) => {
      const { waiting } = await queue.counts();
      if (waiting === 0) return 0;
      const { ids } = await queue.ids('waiting', SAMPLED);
      if (ids.length === 0) return waiting;
      const items = ids.reduce((sum, id) => sum + itemsOfChunk(id), 0);
      return Math.round((items / ids.length) * waiting);
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}
