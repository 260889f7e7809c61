import type { Envelope } from './envelope.js';
import type { Job } from './job.js';

/** The items of one key that have not ended: the first one may start, the others wait for it. */
interface Chain {
  job: Job;
  index: number;
  isRunning: boolean;
  waiting: Envelope[];
  /** How many of `waiting` have had their turn. */
  passed: number;
}

/** Keeps items of one `orderKey` in their order: the next one may start when the one before has ended, retries included. */
export class KeyOrder {
  /** Items that wait for the one before them. */
  size = 0;
  private readonly chains = new Map<string, Chain>();

  /** @returns whether the item may go to the queue; else it waits here */
  enter(envelope: Envelope): boolean {
    const { job, index } = envelope;
    const key = keyOf(job, index);
    const chain = this.chains.get(key);
    if (chain === undefined) {
      this.chains.set(key, { job, index, isRunning: false, waiting: [], passed: 0 });
      return true;
    }
    chain.waiting.push(envelope);
    this.size++;
    return false;
  }

  /** A worker has it. */
  started(job: Job, index: number): void {
    this.chains.get(keyOf(job, index))!.isRunning = true;
  }

  /** No worker has it any more, and it has not ended. */
  stays(job: Job, index: number): void {
    this.chains.get(keyOf(job, index))!.isRunning = false;
  }

  /** It has ended. @returns the item whose turn it is now */
  leave(job: Job, index: number): Envelope | undefined {
    const key = keyOf(job, index);
    return this.passOn(key, this.chains.get(key)!);
  }

  /**
   * Drops the items of `job` that wait here, and forgets those that waited for a worker.
   *
   * @returns how many waited here, and the items of others whose turn it is now
   */
  drop(job: Job): { readonly count: number; readonly next: Envelope[] } {
    const before = this.size;
    const next: Envelope[] = [];
    for (const key of new Set(job.orderKeys)) {
      const chain = this.chains.get(key);
      if (chain === undefined) continue;
      this.dropFrom(chain, job);
      if (chain.job !== job || chain.isRunning) continue;
      const envelope = this.passOn(key, chain);
      if (envelope !== undefined) next.push(envelope);
    }
    return { count: before - this.size - next.length, next };
  }

  private dropFrom(chain: Chain, job: Job): void {
    const kept = chain.waiting.slice(chain.passed).filter((envelope) => envelope.job !== job);
    this.size -= chain.waiting.length - chain.passed - kept.length;
    chain.waiting = kept;
    chain.passed = 0;
  }

  private passOn(key: string, chain: Chain): Envelope | undefined {
    const envelope = chain.waiting[chain.passed];
    if (envelope === undefined) {
      this.chains.delete(key);
      return undefined;
    }
    this.size--;
    chain.passed++;
    // Taking out the first one each time would move all the others.
    if (2 * chain.passed > chain.waiting.length) {
      chain.waiting = chain.waiting.slice(chain.passed);
      chain.passed = 0;
    }
    chain.job = envelope.job;
    chain.index = envelope.index;
    chain.isRunning = false;
    return envelope;
  }
}

function keyOf(job: Job, index: number): string {
  return job.orderKeys![index]!;
}
