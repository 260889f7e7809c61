import type { Clock } from '../../core/clock.js';
import type { EventChannel } from '../../core/events.js';
import { toError } from '../../core/to-error.js';

/** How often the same trouble is told, in milliseconds. */
const AGAIN_MS = 30_000;

/** Tells of a store in trouble: everything that asks it fails at once then, again and again. */
export class TroubleTeller {
  private toldAtMs = -Infinity;

  constructor(
    private readonly events: EventChannel,
    private readonly clock: Clock,
  ) {}

  readonly tell = (error: unknown): void => {
    const nowMs = this.clock.now();
    if (nowMs - this.toldAtMs < AGAIN_MS) return;
    this.toldAtMs = nowMs;
    this.events.emit('engineTroubled', { error: toError(error) });
  };
}
