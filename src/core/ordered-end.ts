import type { DeadLetter } from './dead-letters.js';
import { HandOverTimeLimitError } from './errors.js';
import type { EventChannel, UnfinishedItem } from './events.js';
import { inTime } from './in-time.js';
import { inJobOrder } from './job-order.js';
import type { WorkerProcessOptions } from './options.js';
import type { StreamProducer } from './stream-producer.js';
import { toError } from './to-error.js';
import { within } from './within.js';
import type { WorkerPool } from './worker-pool.js';
import type { Workload } from './workload.js';

/** What ends in order. */
interface EndingProcess {
  readonly options: WorkerProcessOptions;
  readonly events: EventChannel;
  readonly pool: WorkerPool;
  readonly workloads: readonly Workload[];
  readonly streams: readonly StreamProducer[];
  /** Resolves when somebody ends the pool. */
  readonly poolEnded: Promise<void>;
}

/** The end of a worker process, in order: `drain`, then `handBackRest`. */
export class OrderedEnd {
  private readonly unfinished: UnfinishedItem[] = [];
  private readonly deadlineMs: number;
  /** A process that was never started has no workers to wait for. */
  readonly drains: boolean;

  constructor(private readonly process: EndingProcess) {
    const { options, pool } = process;
    this.deadlineMs = options.clock.now() + options.shutdownTimeoutMs;
    this.drains = options.drainOnShutdown && pool.isOpen;
  }

  /**
   * Stops reading the sources, and works the queues off (with `drainOnShutdown`, else lets the running items finish), for
   * at most `shutdownTimeoutMs`.
   */
  async drain(): Promise<void> {
    const { options, pool, workloads, streams, poolEnded } = this.process;
    const { abortGraceMs, shutdownTimeoutMs, clock } = options;
    for (const stream of streams) stream.stop();
    for (const workload of workloads) workload.startDraining((item) => this.unfinished.push(item));
    if (!this.drains) pool.close();
    // A source that does not answer must not use up the time of the items.
    const sourcesEnded = Promise.all(streams.map(({ ended }) => ended));
    await within(clock, Math.min(abortGraceMs, shutdownTimeoutMs), sourcesEnded);
    if (this.drains) {
      // Without a pool, nobody works anything off.
      const workedOff = Promise.race([this.drained(), poolEnded]);
      await within(clock, this.deadlineMs - clock.now(), workedOff);
    }
    pool.close();
    // Handlers that still run, and workers that stop: what they hold is closed after this.
    await within(clock, this.deadlineMs - clock.now(), pool.whenEmpty());
  }

  /** Aborts what still runs, and gives all that is left to `onUnfinished`, and the dead letters to `onDeadLetters`. */
  async handBackRest(): Promise<void> {
    const { options, pool, workloads, streams } = this.process;
    await within(options.clock, options.abortGraceMs, pool.shutdown());
    await pool.shutdown({ force: true });
    for (const workload of workloads) {
      workload.handBackHeld();
      workload.handBackTo((lateItem) => void this.tellUnfinished([lateItem], options.clock.now()));
    }
    const startMs = options.clock.now();
    await this.tellUnfinished(inJobOrder(this.unfinished), startMs);
    await this.tellDeadLetters(
      workloads.flatMap(({ deadLetters }) => deadLetters.list(0, Infinity)),
      startMs,
    );
    for (const stream of streams) stream.giveUp();
  }

  /** Resolves when nothing is left that could be done before the deadline. What ends may have submitted more elsewhere. */
  private async drained(): Promise<void> {
    for (;;) {
      const busy = this.process.workloads.filter((workload) => !workload.hasNothingDueBy(this.deadlineMs));
      if (busy.length === 0) return;
      await Promise.all(busy.map((workload) => workload.whenNothingDueBy(this.deadlineMs)));
    }
  }

  private async tellUnfinished(items: readonly UnfinishedItem[], startMs: number): Promise<void> {
    if (items.length === 0) return;
    const { options, events } = this.process;
    const taken = await this.handOver('onUnfinished', options.onUnfinished, items, startMs);
    if (!taken) events.emit('unfinished', { items });
  }

  private async tellDeadLetters(letters: readonly DeadLetter[], startMs: number): Promise<void> {
    if (letters.length === 0) return;
    const { options, events } = this.process;
    const taken = await this.handOver('onDeadLetters', options.onDeadLetters, letters, startMs);
    if (!taken) events.emit('deadLettersLeft', { letters });
  }

  /**
   * @param startMs since when such functions have been called, in milliseconds of the clock
   * @returns whether the user's function has taken what is left, in time
   */
  private async handOver<Left>(
    name: string,
    take: ((left: readonly Left[]) => void | Promise<void>) | undefined,
    left: readonly Left[],
    startMs: number,
  ): Promise<boolean> {
    if (take === undefined) return false;
    const { clock, handOverTimeoutMs } = this.process.options;
    // All of it may be used up; 0 would be any time.
    const leftMs = Math.max(1, startMs + handOverTimeoutMs - clock.now());
    const limitError = () => new HandOverTimeLimitError(name, handOverTimeoutMs);
    try {
      const taking = (async () => take(left))();
      await inTime(clock, handOverTimeoutMs === 0 ? 0 : leftMs, taking, limitError);
      return true;
    } catch (error) {
      this.process.events.emit('callbackFailed', { event: name, error: toError(error) });
      return false;
    }
  }
}
