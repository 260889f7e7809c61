/* oxlint-disable jest/no-standalone-expect -- called by tests */
import { expect } from '@jest/globals';
import type { EventName, WorkerProcessEvents } from '../../src/core/events.js';
import type { WorkerProcessOptionsInput } from '../../src/core/options.js';
import { WorkerProcess } from '../../src/core/worker-process.js';
import { ManualClock } from './manual-clock.js';

/** A worker process whose time the test turns. */
export class ManualProcess extends WorkerProcess {
  declare readonly clock: ManualClock;

  constructor({
    clock = new ManualClock(),
    ...options
  }: WorkerProcessOptionsInput & { clock?: ManualClock } = {}) {
    super({ random: () => 0.5, ...options, clock });
  }

  /** The events of this name, gathered from now on. */
  heard<Name extends EventName>(name: Name): WorkerProcessEvents[Name][] {
    const events: WorkerProcessEvents[Name][] = [];
    this.on(name, (event) => events.push(event));
    return events;
  }

  /** Shuts down, turning the clock as far as that may take, and checks that nothing is left running. */
  async end(): Promise<void> {
    const closing = this.shutdown();
    await this.clock.turn(60_000);
    await closing;
    expect(this.counts()).toMatchObject({ waiting: 0, delayed: 0, running: 0 });
    expect(this.clock.timers).toBe(0);
  }
}
