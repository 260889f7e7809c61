import type { Envelope } from './envelope.js';
import type { Job } from './job.js';

/** The items of one key that have not ended: the first one may start, the others wait for it. */
interface Chain {
  job: Job;
  index: number;
  isRunning: boolean;
  /** Dropped ones stay until their turn comes, or they are too many. */
  waiting: Envelope[];
  /** How many of `waiting` have had their turn. */
  passed: number;
}

/** Dropped items that stay before they are taken out, at the least. */
const MOST_DROPPED = 1_024;

/** Keeps items of one `orderKey` in their order: the next one may start when the one before has ended, retries included. */
export class KeyOrder {
  /** Items that wait for the one before them. */
  size = 0;
  /** Items dropped that still stand in their chains. */
  private dropped = 0;
  private readonly chains = new Map<string, Chain>();

  /** @returns whether the item may go to the queue; else it waits here */
  enter(envelope: Envelope): boolean {
    const { job, index } = envelope;
    const keys = job.orderKeys!;
    const key = keys.of(index);
    const chain = this.chains.get(key);
    if (chain === undefined) {
      this.chains.set(key, { job, index, isRunning: false, waiting: [], passed: 0 });
      return true;
    }
    chain.waiting.push(envelope);
    keys.blocked++;
    this.size++;
    return false;
  }

  /** A worker has it. */
  started(job: Job, index: number): void {
    this.chainOf(job, index).isRunning = true;
  }

  /** No worker has it any more, and it has not ended. */
  stays(job: Job, index: number): void {
    this.chainOf(job, index).isRunning = false;
  }

  /** It has ended. @returns the item whose turn it is now */
  leave(job: Job, index: number): Envelope | undefined {
    return this.passOn(job.orderKeys!.of(index), this.chainOf(job, index));
  }

  /**
   * Drops the items of `job`, which is marked as dropped, that no worker holds. It looks at no item of another job but those
   * whose turn it is then.
   *
   * @returns how many waited here, and the items of others whose turn it is now
   */
  drop(job: Job): { readonly count: number; readonly next: Envelope[] } {
    const keys = job.orderKeys!;
    const count = keys.blocked;
    keys.blocked = 0;
    this.size -= count;
    this.dropped += count;
    const next: Envelope[] = [];
    for (const [index, key] of keys.openItems) {
      const chain = this.chains.get(key);
      const isFirst = chain !== undefined && chain.job === job && chain.index === index;
      if (isFirst && chain.isRunning) continue;
      keys.delete(index, 1);
      const envelope = isFirst ? this.passOn(key, chain) : undefined;
      if (envelope !== undefined) next.push(envelope);
    }
    if (this.dropped > Math.max(MOST_DROPPED, this.size, this.chains.size)) this.takeOutDropped();
    return { count, next };
  }

  /** Takes out the items of dropped jobs, whose mark may be removed then. */
  takeOutDropped(): void {
    if (this.dropped === 0) return;
    this.dropped = 0;
    for (const chain of this.chains.values()) {
      chain.waiting = chain.waiting.slice(chain.passed).filter(({ job }) => !job.isDropped);
      chain.passed = 0;
    }
  }

  private chainOf(job: Job, index: number): Chain {
    return this.chains.get(job.orderKeys!.of(index))!;
  }

  private passOn(key: string, chain: Chain): Envelope | undefined {
    const envelope = this.nextOf(chain);
    if (envelope === undefined) {
      this.chains.delete(key);
      return undefined;
    }
    this.size--;
    envelope.job.orderKeys!.blocked--;
    chain.job = envelope.job;
    chain.index = envelope.index;
    chain.isRunning = false;
    return envelope;
  }

  /** Takes the next one out that has not been dropped. */
  private nextOf(chain: Chain): Envelope | undefined {
    let next: Envelope | undefined = undefined;
    while (next === undefined && chain.passed < chain.waiting.length) {
      const envelope = chain.waiting[chain.passed++]!;
      if (envelope.job.isDropped) this.dropped--;
      else next = envelope;
    }
    // Taking out the first one each time would move all the others.
    if (2 * chain.passed > chain.waiting.length) {
      chain.waiting = chain.waiting.slice(chain.passed);
      chain.passed = 0;
    }
    return next;
  }
}
