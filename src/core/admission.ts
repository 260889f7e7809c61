import type { Clock, Timer } from './clock.js';

/** A submission that waits for room in a full queue. */
export interface Producer {
  /** Submits what there is room for. @returns whether nothing of it is left */
  proceed(room: number): boolean;
  /** The process shuts down: nothing more of it will be taken. */
  refuse(): void;
}

/** What admission asks of the queue that it guards. */
export interface AdmittedQueue {
  /** Items that wait or are delayed: what the bound counts. */
  readonly held: number;
  /** Items that wait. */
  readonly waiting: number;
  /** Items that run. */
  readonly running: number;
  /** Items that have ended, ever. */
  readonly ended: number;
}

/** Items that one producer may submit before the next has its turn. */
const TURN = 1_024;

/** How long a full queue may stand still before somebody is told, in milliseconds. */
const STANDSTILL_MS = 5_000;

/** Keeps a work queue within its bound: producers wait in line for room and are let in one after another. */
export class Admission {
  /** Producers that wait. A field, as it is read for each item that is taken. */
  waitingProducers = 0;
  private readonly line: Producer[] = [];
  /** What is left of the turn of the first in line. */
  private turnLeft = TURN;
  private readonly lowWater: number;
  private watch: Timer | undefined = undefined;
  private standstillTold = false;

  constructor(
    private readonly queue: AdmittedQueue,
    private readonly maxQueueSize: number,
    private readonly maxWaitingProducers: number,
    private readonly clock: Clock,
    private readonly onStandstill: (forMs: number) => void,
  ) {
    // Letting in a few at each single item would make the producers' turns cost more than the items.
    this.lowWater = maxQueueSize - Math.min(TURN, Math.ceil(maxQueueSize / 2));
  }

  /** Items that may be submitted now; 0 while others wait in line. */
  get room(): number {
    return this.waitingProducers > 0 ? 0 : Math.max(0, this.maxQueueSize - this.queue.held);
  }

  get lineIsFull(): boolean {
    return this.waitingProducers >= this.maxWaitingProducers;
  }

  /** Puts `producer` at the end of the line. */
  join(producer: Producer): void {
    this.line.push(producer);
    this.waitingProducers = this.line.length;
    this.watch ??= this.watchStandstill();
  }

  /** Takes `producer` out of the line. */
  leave(producer: Producer): void {
    const place = this.line.indexOf(producer);
    if (place !== -1) this.line.splice(place, 1);
    if (place === 0) this.turnLeft = TURN;
    this.lineChanged();
  }

  /** To be called when items have left the queue. */
  roomMade(): void {
    const { held, waiting } = this.queue;
    // A queue full of delayed items may never fall to the low water; its workers must not go hungry for that.
    if (held <= this.lowWater || waiting === 0) this.letIn();
  }

  /** Turns everybody away. */
  close(): void {
    for (const producer of this.line.splice(0)) producer.refuse();
    this.lineChanged();
  }

  private letIn(): void {
    while (this.line.length > 0) {
      const room = this.maxQueueSize - this.queue.held;
      if (room <= 0) break;
      const producer = this.line.shift()!;
      const share = Math.min(this.turnLeft, room);
      const isThrough = producer.proceed(share);
      this.turnLeft -= share;
      // Who was cut short by the room, not by its turn, stays the first.
      if (!isThrough && this.turnLeft > 0) this.line.unshift(producer);
      else if (!isThrough) this.line.push(producer);
      if (isThrough || this.turnLeft <= 0) this.turnLeft = TURN;
    }
    this.lineChanged();
  }

  private lineChanged(): void {
    this.waitingProducers = this.line.length;
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
