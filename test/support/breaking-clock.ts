import { ManualClock } from './manual-clock.js';

/** A clock that can't be read once, when it is told so: what breaks a worker down beside its handler. */
export class BreakingClock extends ManualClock {
  breaksNext = false;

  override now(): number {
    if (!this.breaksNext) return super.now();
    this.breaksNext = false;
    throw new Error('the clock broke');
  }
}
