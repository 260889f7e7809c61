import { promiseWithResolve } from '../../core/promise-with-resolve.js';
import { toError } from '../../core/to-error.js';
import { ChunkBuilder, type ChunkLimits } from './chunk-builder.js';
import type { ChunkIds } from './chunk-ids.js';
import type { ChunkQueue } from './chunk-queue.js';

/** Writes that may be under way at a time: one is sent while another is answered. */
const WRITES = 2;

/** Items that go to the store together, and who waits for that. */
interface Gathered {
  readonly builder: ChunkBuilder;
  /** Resolves with what went wrong, or with nothing once they are stored. One promise for all: a rejection would be one for each. */
  readonly stored: Promise<Error | undefined>;
  readonly tell: (failure: Error | undefined) => void;
}

/**
 * Lets many callers that each submit one item share chunks. What comes while nothing is written goes out at the end of its
 * turn of the event loop; while `WRITES` writes are under way the next items gather, and go when one of them is answered.
 * So nobody waits when there is little to do, and chunks grow by themselves when there is much.
 */
export class GroupCommit {
  private gathering: Gathered[] = [];
  private underWay = 0;
  private isScheduled = false;

  constructor(
    private readonly queue: Pick<ChunkQueue, 'add'>,
    private readonly limits: ChunkLimits,
    private readonly ids: ChunkIds,
  ) {}

  /** @returns once the item is stored: undefined, or why it may not be */
  write(text: string, idPrefix: string, sequence: number): Promise<Error | undefined> {
    const gathered = this.gatheredFor(text);
    gathered.builder.addSingle(text, idPrefix, sequence);
    if (!this.isScheduled && this.underWay < WRITES) {
      this.isScheduled = true;
      queueMicrotask(() => this.flush());
    }
    return gathered.stored;
  }

  private gatheredFor(text: string): Gathered {
    const last = this.gathering.at(-1);
    if (last !== undefined && !last.builder.isFullFor(text)) return last;
    const { promise, resolve } = promiseWithResolve<Error | undefined>();
    const gathered = { builder: new ChunkBuilder(this.limits), stored: promise, tell: resolve };
    this.gathering.push(gathered);
    return gathered;
  }

  private flush(): void {
    this.isScheduled = false;
    const gathered = this.gathering;
    if (gathered.length === 0) return;
    this.gathering = [];
    this.underWay++;
    void this.send(gathered);
  }

  private async send(gathered: readonly Gathered[]): Promise<void> {
    const failure = await this.add(gathered);
    this.underWay--;
    for (const { tell } of gathered) tell(failure);
    this.flush();
  }

  private async add(gathered: readonly Gathered[]): Promise<Error | undefined> {
    try {
      await this.queue.add(
        gathered.map(({ builder }) => ({
          id: this.ids.next(builder.size),
          text: builder.build(),
          dueAtMs: 0,
          isRetry: false,
          goesFirst: false,
          key: undefined,
        })),
      );
      return undefined;
    } catch (error) {
      return toError(error);
    }
  }
}
