import { deferred, type Deferred } from './deferred.js';
import { settle } from './manual-clock.js';

/** Handlers that stay until they are let go. */
export class Gates {
  readonly open: Deferred[] = [];
  most = 0;

  readonly processItem = async (): Promise<void> => {
    const gate = deferred();
    this.open.push(gate);
    this.most = Math.max(this.most, this.open.length);
    await gate.promise;
  };

  get running(): number {
    return this.open.length;
  }

  async letGo(count = this.open.length): Promise<void> {
    for (const gate of this.open.splice(0, count)) gate.resolve();
    await settle();
  }

  /** Lets all go that come, too. */
  async drain(): Promise<void> {
    while (this.open.length > 0) await this.letGo();
  }
}
