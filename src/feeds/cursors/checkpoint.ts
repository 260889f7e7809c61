import { WRITE_DOWN_MS } from '../write-down-time.js';
import type { CursorCache } from './cursor-cache.js';
import type { CursorCalls } from './cursor-calls.js';

/** A write that has not been answered. */
interface Write {
  readonly call: 'save' | 'clear';
  /** Resolves when it has, in whatever way. */
  readonly answered: Promise<void>;
}

/** Where the next run of a cursor job begins, as the cursor cache has it. */
export class Checkpoint {
  /** Goes on when the run that it is of has given it up: what can still be written is. */
  private unanswered: Write | undefined = undefined;

  constructor(
    private readonly name: string,
    private readonly cache: CursorCache,
    private readonly calls: CursorCalls,
  ) {}

  /**
   * The position that it stands at; undefined: the beginning of the source. Ends at once when `stop` aborts.
   *
   * @throws CursorCallTimeLimitError also when a write of a former run is still not answered
   */
  async load(stop: AbortSignal): Promise<unknown> {
    const { unanswered } = this;
    // If it came after what this run will write, the checkpoint would jump, and pages could be skipped.
    if (unanswered !== undefined) {
      await this.calls.make({ call: unanswered.call, stop, stoppedMs: 0 }, () => unanswered.answered);
    }
    return this.calls.make({ call: 'load', stop, stoppedMs: 0 }, () => this.cache.load(this.name));
  }

  /**
   * Moves it to `next`; undefined: to the beginning. A run that is stopped still waits for that, as pages that were worked
   * off would be repeated otherwise, but for 5 seconds at the most.
   *
   * @throws CursorCallTimeLimitError; what the cache throws
   */
  async move(next: unknown, stop: AbortSignal): Promise<void> {
    const call = next === undefined ? 'clear' : 'save';
    await this.calls.make({ call, stop, stoppedMs: WRITE_DOWN_MS }, () => {
      const written = this.write(next);
      const forget = () => void (this.unanswered = undefined);
      this.unanswered = { call, answered: written.then(forget, forget) };
      return written;
    });
  }

  private async write(next: unknown): Promise<void> {
    if (next === undefined) await this.cache.clear(this.name);
    else await this.cache.save(this.name, next);
  }
}
