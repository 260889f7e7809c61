import timersPromises from 'node:timers/promises';
import { syncBuiltinESMExports } from 'node:module';
import { describeHandle, openHandles } from './open-handles.js';
import { TimerWatch, type TimerScope } from './timer-watch.js';

/** How long what is being closed may take to be gone; only a file that leaks waits for so long. */
const CLOSING_LIMIT_MS = 500;

/** Tells what was opened after `start` and is open still. */
export class LeakCheck {
  private readonly timers = new TimerWatch();
  private readonly before = new Set(openHandles());

  /** `scope` is the global object of the code under watch. */
  constructor(scope: TimerScope) {
    this.timers.watch(scope);
    this.timers.watchPromises(timersPromises);
    syncBuiltinESMExports();
  }

  /** A line or more for each leak, after giving what is being closed a moment to go. */
  async findLeaks(): Promise<string[]> {
    const deadline = Date.now() + CLOSING_LIMIT_MS;
    // At least one turn: a callback of `setImmediate` on its way is still the file's, and needs the file's globals.
    do await nextTurn();
    while (this.leaks().length > 0 && Date.now() < deadline);
    return this.leaks();
  }

  stop(): void {
    this.timers.stop();
    syncBuiltinESMExports();
  }

  private leaks(): string[] {
    const handles = openHandles().filter((handle) => !this.before.has(handle));
    return [...this.timers.pending(), ...handles.map(describeHandle)];
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
