import type { Clock, Timer } from './clock.js';
import { QueueFullError } from './errors.js';

/** A submission that waits for room in a full queue. */
export interface Producer {
  /** Submits what there is room for. @returns whether nothing of it is left */
  proceed(room: number): boolean;
  /** The process shuts down: nothing more of it will be taken. */
  refuse(): void;
}

/** What admission asks of the queue that it guards. */
export interface AdmittedQueue {
  readonly type: string;
  /** Items that wait or are delayed: what the bound counts. */
  readonly held: number;
  /** Items that wait. */
  readonly waiting: number;
  /** Items that run. */
  readonly running: number;
  /** Items that have ended, ever. */
  readonly ended: number;
}

/** What admission keeps. */
export interface AdmissionBounds {
  readonly maxQueueSize: number;
  readonly maxWaitingProducers: number;
}

/** Items that one producer may submit before the next has its turn. */
const TURN = 1_024;

/** How long a full queue may stand still before somebody is told, in milliseconds. */
const STANDSTILL_MS = 5_000;

/** Keeps a work queue within its bound: producers wait in line for room and are let in one after another. */
export class Admission {
  /** Producers that wait. A field, as it is read for each item that is taken. */
  waitingProducers = 0;
  /** In the order of their turns. */
  private readonly line = new Set<Producer>();
  /** What is left of the turn of the first in line. */
  private turnLeft = TURN;
  private readonly lowWater: number;
  private watch: Timer | undefined = undefined;
  private standstillTold = false;

  constructor(
    private readonly queue: AdmittedQueue,
    private readonly bounds: AdmissionBounds,
    private readonly clock: Clock,
    private readonly onStandstill: (forMs: number) => void,
  ) {
    const { maxQueueSize } = bounds;
    // Letting in a few at each single item would make the producers' turns cost more than the items.
    this.lowWater = maxQueueSize - Math.min(TURN, Math.ceil(maxQueueSize / 2));
  }

  /** Items that may be submitted now; 0 while others wait in line. */
  get room(): number {
    return this.waitingProducers > 0 ? 0 : Math.max(0, this.bounds.maxQueueSize - this.queue.held);
  }

  /**
   * For `count` items of a handler, which can't wait for room that only handlers make.
   *
   * @throws QueueFullError when twice the bound would be passed
   */
  refuseBeyondSecondBound(count: number): void {
    const { maxQueueSize } = this.bounds;
    if (this.queue.held + count <= 2 * maxQueueSize) return;
    throw new QueueFullError(
      this.queue.type,
      `twice maxQueueSize (${maxQueueSize}), the bound for submissions of handlers, is reached`,
    );
  }

  /** @throws QueueFullError when as many producers wait for room as may, so that no further submission is taken */
  refuseIfLineIsFull(): void {
    const { maxQueueSize, maxWaitingProducers } = this.bounds;
    if (this.waitingProducers < maxWaitingProducers) return;
    throw new QueueFullError(
      this.queue.type,
      `maxQueueSize (${maxQueueSize}) is reached, and ${maxWaitingProducers} producers wait for room already (maxWaitingProducers); await distributeWork(), or raise one of the two`,
    );
  }

  /** Puts `producer` at the end of the line; one that has been let in joins again and again. */
  join(producer: Producer): void {
    this.line.add(producer);
    this.waitingProducers = this.line.size;
    this.watch ??= this.watchStandstill();
  }

  /** Takes `producer` out of the line. */
  leave(producer: Producer): void {
    const [first] = this.line;
    this.line.delete(producer);
    if (producer === first) this.turnLeft = TURN;
    this.lineChanged();
  }

  /** To be called when an item has been taken. Those in line are let in once it is worth it, and more items will be taken. */
  roomMade(): void {
    const { held, waiting } = this.queue;
    // A queue full of delayed items may never fall to the low water; its workers must not go hungry for that.
    if (held <= this.lowWater || waiting === 0) this.letIn();
  }

  /** Turns everybody away. */
  close(): void {
    const refused = [...this.line];
    this.line.clear();
    for (const producer of refused) producer.refuse();
    this.lineChanged();
  }

  /** Lets in as many as there is room for; to be called when items have left the queue, and others need not follow them. */
  letIn(): void {
    for (const producer of this.line) {
      const room = this.bounds.maxQueueSize - this.queue.held;
      if (room <= 0) break;
      const share = Math.min(this.turnLeft, room);
      const isThrough = producer.proceed(share);
      this.turnLeft -= share;
      // Who was cut short by the room, not by its turn, stays the first.
      if (!isThrough && this.turnLeft > 0) continue;
      this.turnLeft = TURN;
      this.line.delete(producer);
      if (!isThrough) this.line.add(producer);
    }
    this.lineChanged();
  }

  private lineChanged(): void {
    this.waitingProducers = this.line.size;
    if (this.waitingProducers > 0) return;
    this.watch?.cancel();
    this.watch = undefined;
    this.standstillTold = false;
  }

  /** Handlers that wait for room which only they could make are not to be told from slow ones, but worth a word. */
  private watchStandstill(): Timer {
    const { ended } = this.queue;
    const timer = this.clock.setTimer(() => {
      const stands = this.queue.ended === ended && this.queue.running > 0;
      if (stands && !this.standstillTold) this.onStandstill(STANDSTILL_MS);
      this.standstillTold ||= stands;
      this.watch = this.waitingProducers > 0 ? this.watchStandstill() : undefined;
    }, STANDSTILL_MS);
    timer.keepAlive(false);
    return timer;
  }
}
