import { ProcessClosedError } from './errors.js';
import type { SubmitOptions } from './submit-options.js';

/** How far a worker process has come: it takes work, works off what it has for its end, or takes nothing any more. */
export class ProcessStage {
  private current: 'open' | 'draining' | 'closed' = 'open';

  get isOpen(): boolean {
    return this.current === 'open';
  }

  get isClosed(): boolean {
    return this.current === 'closed';
  }

  drain(): void {
    if (this.current === 'open') this.current = 'draining';
  }

  close(): void {
    this.current = 'closed';
  }

  /** @throws ProcessClosedError unless it is open */
  refuseUnlessOpen(operation: string): void {
    if (!this.isOpen) throw new ProcessClosedError(operation);
  }

  /** For submissions: those of handlers are taken while the process drains. @throws ProcessClosedError */
  refuseWork(options: SubmitOptions | undefined): void {
    const isTaken = this.isOpen || (this.current === 'draining' && options?.fromHandler === true);
    if (!isTaken) throw new ProcessClosedError('distributeWork()');
  }
}
