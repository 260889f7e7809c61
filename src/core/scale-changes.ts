import type { EventChannel, WorkerProcessEvents } from './events.js';

type ScaleChange = WorkerProcessEvents['scaled'];

/**
 * Tells of changed targets once all that changes together has changed, as a listener may do anything to the pool. They are
 * told in their order, although a listener may set off more.
 */
export class ScaleChanges {
  private readonly untold: ScaleChange[] = [];
  private isTelling = false;

  constructor(private readonly events: EventChannel) {}

  add(change: ScaleChange): void {
    this.untold.push(change);
  }

  tell(): void {
    if (this.isTelling) return;
    this.isTelling = true;
    for (let change = this.untold.shift(); change !== undefined; change = this.untold.shift()) {
      this.events.emit('scaled', change);
    }
    this.isTelling = false;
  }
}
