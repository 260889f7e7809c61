/* oxlint-disable jest/no-standalone-expect, jest/expect-expect -- the book checks as it goes */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { BatchContext } from '../../../src/core/batch-context.js';
import type { WorkCounts } from '../../../src/core/counts.js';
import {
  ProcessClosedError,
  QueueFullError,
  RetryLaterError,
  UnrecoverableError,
} from '../../../src/core/errors.js';
import type { UnfinishedItem } from '../../../src/core/events.js';
import type { ItemContext } from '../../../src/core/item-context.js';
import type { Job } from '../../../src/core/job.js';
import type { JobObserver } from '../../../src/core/submit-options.js';
import { WorkerProcess } from '../../../src/core/worker-process.js';
import { deferred, type Deferred } from '../../support/deferred.js';
import { ManualClock, settle } from '../../support/manual-clock.js';

const RETRIES = 2;

/** What the handler does with an item; the payload says it. */
const manners = [
  'succeeds',
  'succeeds later',
  'fails',
  'fails later',
  'throws undefined',
  'rejects with null',
  'fails once',
  'can never succeed',
  'asks for a later retry',
  'hangs until it is let go',
  'hangs for ever',
] as const;
type Manner = (typeof manners)[number];

const sources = [
  'item',
  'array',
  'iterable',
  'async iterable',
  'failing iterable',
  'hanging iterable',
] as const;

type Step =
  | { do: 'distribute'; type: string; source: (typeof sources)[number]; payloads: Manner[] }
  | { do: 'offer'; type: string; payload: Manner }
  | {
      do: 'cancel' | 'let go' | 'add worker' | 'remove worker' | 'pause' | 'resume';
      type: string;
      which: number;
    }
  | { do: 'retry now' | 'redrive all' | 'discard all' | 'redrive one'; type: string; which: number }
  | { do: 'turn'; ms: number };

const type = fc.constantFrom('one', 'batch');
const payload = fc.constantFrom(...manners);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('distribute' as const),
      type,
      source: fc.constantFrom(...sources),
      payloads: fc.array(payload, { maxLength: 20 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('offer' as const), type, payload }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('cancel', 'let go', 'add worker', 'remove worker', 'pause', 'resume', 'resume'),
      type,
      which: fc.nat({ max: 20 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('retry now', 'redrive all', 'discard all', 'redrive one'),
      type,
      which: fc.nat({ max: 20 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('turn' as const), ms: fc.nat({ max: 150 }) }) },
);

/** Two worker types, one of each mode, and a book of everything that is heard of their items. */
class Book {
  readonly clock = new ManualClock();
  readonly process: WorkerProcess;
  readonly jobs = new Set<Job>();
  readonly endings = new Map<string, number>();
  readonly starts = new Map<string, number>();
  readonly redrives = new Map<string, number>();
  readonly unfinished: UnfinishedItem[] = [];
  readonly offered = new Map<string, number>();
  readonly refusals: unknown[] = [];
  private readonly hanging: Deferred[] = [];
  private readonly hangingSources: Deferred[] = [];

  constructor(drainOnShutdown: boolean) {
    this.process = new WorkerProcess({
      clock: this.clock,
      random: () => 0.5,
      maxConcurrency: 3,
      scalingThreshold: 2,
      maxQueueSize: 8,
      maxWaitingProducers: 4,
      batchSize: 3,
      timeoutMs: 80,
      idleTimeoutMs: 100,
      scaleDownDelayMs: 50,
      maxDeadLetters: 6,
      maxAbandoned: 2,
      shutdownTimeoutMs: 200,
      abortGraceMs: 50,
      drainOnShutdown,
      retry: { limit: RETRIES, backoffMs: 20, jitter: 0 },
      onUnfinished: (items) => void this.unfinished.push(...items),
    });
    this.process.on('jobEnded', (job) => this.jobs.add(job));
    this.process.register('one', {
      processItem: (manner: Manner, context: ItemContext) => this.handle(manner, context.id, context.attempt),
    });
    this.process.register('batch', {
      processBatch: async (batch: readonly Manner[], context: BatchContext) => {
        const results = await Promise.allSettled(
          batch.map(async (manner, place) =>
            this.handle(manner, context.itemId(place), context.attempt(place)),
          ),
        );
        results.forEach((result, place) => {
          if (result.status === 'rejected') context.fail(place, result.reason);
        });
      },
    });
  }

  private handle(manner: Manner, id: string, attempt: number): unknown {
    this.starts.set(id, (this.starts.get(id) ?? 0) + 1);
    switch (manner) {
      case 'succeeds':
        return undefined;
      case 'succeeds later':
        return settle();
      case 'fails':
        throw new Error('fails');
      case 'fails later':
        return settle().then(() => Promise.reject(new Error('fails later')));
      case 'throws undefined':
        throw undefined;
      case 'rejects with null':
        return Promise.reject(null);
      case 'fails once':
        if (attempt === 1) throw new Error('once');
        return undefined;
      case 'can never succeed':
        throw new UnrecoverableError('never');
      case 'asks for a later retry':
        throw new RetryLaterError(33);
      case 'hangs until it is let go': {
        const gate = deferred();
        this.hanging.push(gate);
        return gate.promise;
      }
      case 'hangs for ever':
        return new Promise(() => undefined);
      default:
        return manner satisfies never;
    }
  }

  async act(now: Step): Promise<void> {
    const { process } = this;
    switch (now.do) {
      case 'distribute':
        this.distribute(now.type, now.source, now.payloads);
        break;
      case 'offer':
        if (process.offer(now.type, now.payload)) {
          this.offered.set(now.type, (this.offered.get(now.type) ?? 0) + 1);
        }
        break;
      case 'cancel':
        void [...this.jobs][now.which % Math.max(1, this.jobs.size)]?.cancel();
        break;
      case 'let go':
        this.letGo(now.which % 2 === 0);
        break;
      case 'add worker':
        process.pool.addWorker(now.type);
        break;
      case 'remove worker':
        process.pool.removeWorker(now.type);
        break;
      case 'pause':
        void process.pause(now.type);
        break;
      case 'resume':
        void process.resume(now.type);
        break;
      case 'retry now':
        void process.retryFailedItems(now.type);
        break;
      case 'redrive all':
      case 'redrive one': {
        const letters = await process.deadLetters({ type: now.type });
        const ids = letters.map(({ id }) => id).filter((_, i) => now.do === 'redrive all' || i === now.which);
        for (const id of ids) this.redrives.set(id, (this.redrives.get(id) ?? 0) + 1);
        expect(await process.redriveDeadLetters({ ids })).toBe(ids.length);
        break;
      }
      case 'discard all':
        await process.discardDeadLetters({ type: now.type });
        break;
      case 'turn':
        break;
      default:
        now satisfies never;
    }
  }

  private distribute(name: string, source: (typeof sources)[number], payloads: Manner[]): void {
    const observer: JobObserver = {
      itemEnded: (index) => indices.push(index),
    };
    // The id of the job is known only when it is there; what ends before is written down then.
    const indices: number[] = [];
    void this.process.distributeWork(name, this.source(source, payloads), { track: true, observer }).then(
      (job) => this.jobs.add(job),
      (error: unknown) => this.refusals.push(error),
    );
    this.ended.push(indices);
  }

  private readonly ended: number[][] = [];

  private source(kind: (typeof sources)[number], payloads: Manner[]): unknown {
    const { hangingSources } = this;
    switch (kind) {
      case 'item':
        return payloads[0];
      case 'array':
        return payloads;
      case 'iterable':
        return payloads.values();
      case 'async iterable':
        return (async function* () {
          for (const each of payloads) yield each;
        })();
      case 'failing iterable':
        return (function* () {
          yield* payloads;
          throw new Error('source failed');
        })();
      case 'hanging iterable':
        return (async function* () {
          yield* payloads;
          const gate = deferred();
          hangingSources.push(gate);
          await gate.promise;
        })();
      default:
        return kind satisfies never;
    }
  }

  private letGo(well: boolean): void {
    for (const gate of this.hanging.splice(0)) {
      if (well) gate.resolve();
      else gate.reject(new Error('let go badly'));
    }
    for (const gate of this.hangingSources.splice(0)) gate.resolve();
  }

  checkLaw(): void {
    for (const name of this.process.types) {
      const counts = this.process.counts(name);
      expect(counts.submitted).toBe(ended(counts) + counts.waiting + counts.delayed + counts.running);
      for (const [key, count] of Object.entries(counts)) expect([key, count >= 0]).toEqual([key, true]);
    }
    expect(this.process.pool.workerCount()).toBeLessThanOrEqual(3);
    for (const job of this.jobs) {
      expect(job.open).toBeGreaterThanOrEqual(0);
      expect(job.accepted).toBe(job.open + job.done + job.failed + job.cancelled + job.handedBack);
      expect(job.open === 0 && job.isSealed).toBe(job.isEnded && job.open === 0);
    }
  }

  async shutDown(): Promise<void> {
    const closing = this.process.shutdown();
    await this.clock.turn(1_000);
    await closing;
    this.checkLaw();
    await this.clock.turn(1_000);
    this.letGo(true);
    await settle();
    await settle();
  }

  checkEnd(): void {
    const { process, jobs, unfinished } = this;
    this.checkLaw();
    for (const name of process.types) {
      expect(process.counts(name)).toMatchObject({ waiting: 0, delayed: 0, running: 0 });
      const ofType = [...jobs].filter((job) => job.type === name);
      const accepted = ofType.reduce((sum, job) => sum + job.accepted, this.offered.get(name) ?? 0);
      expect(process.counts(name).submitted).toBe(accepted);
    }
    expect(process.counts().handedBack).toBe(unfinished.length);
    expect(new Set(unfinished.map(({ id }) => id)).size).toBe(unfinished.length);
    for (const job of jobs) {
      expect(job.isEnded).toBe(true);
      expect(unfinished.filter(({ jobId }) => jobId === job.id)).toHaveLength(job.handedBack);
    }
    const redrives = [...this.redrives.values()].reduce((sum, count) => sum + count, 0);
    for (const indices of this.ended) {
      expect(indices.length - new Set(indices).size).toBeLessThanOrEqual(redrives);
    }
    for (const [id, starts] of this.starts) {
      expect(starts).toBeLessThanOrEqual((RETRIES + 1) * (1 + (this.redrives.get(id) ?? 0)));
    }
    for (const { attempts } of unfinished) expect(attempts).toBeLessThanOrEqual(RETRIES);
    for (const error of this.refusals) {
      expect(error instanceof ProcessClosedError || error instanceof QueueFullError).toBe(true);
    }
    const observed = this.ended.reduce((sum, indices) => sum + indices.length, 0);
    const settled = [...jobs].reduce((sum, job) => sum + job.done + job.failed, 0);
    expect(observed - settled).toBeLessThanOrEqual(redrives);
    expect(observed).toBeGreaterThanOrEqual(settled);
    expect(this.clock.timers).toBe(0);
  }
}

function ended(counts: WorkCounts): number {
  return counts.completed + counts.dead + counts.cancelled + counts.handedBack;
}

describe('WorkerProcess', () => {
  it('can account for every item at every moment, whatever happens, and each ends exactly once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 40 }),
        fc.boolean(),
        async (steps, drains) => {
          const book = new Book(drains);
          for (const now of steps) {
            await book.act(now);
            book.checkLaw();
            if (now.do === 'turn') await book.clock.turn(now.ms);
            else if (steps.length % 2 === 0) await settle();
            book.checkLaw();
          }
          await book.shutDown();
          book.checkEnd();
        },
      ),
      { numRuns: 250 },
    );
  }, 60_000);

  it('has nothing left to do when waitForCompletion resolves', async () => {
    const mild = fc.constantFrom<Manner>(
      'succeeds',
      'succeeds later',
      'fails',
      'fails once',
      'throws undefined',
    );
    const works = fc.array(
      fc.tuple(
        type,
        fc.constantFrom('item', 'array', 'iterable', 'async iterable', 'failing iterable'),
        fc.array(mild),
      ),
      { minLength: 1, maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(works, async (submissions) => {
        const book = new Book(true);
        for (const [name, source, payloads] of submissions) {
          await book.act({ do: 'distribute', type: name, source: source as 'item', payloads });
        }
        const seen = { isComplete: false };
        const completion = book.process.waitForCompletion().then(() => {
          seen.isComplete = true;
          return [book.process.counts(), [...book.jobs].every((job) => job.isEnded)];
        });
        for (let turn = 0; turn < 200 && !seen.isComplete; turn++) {
          await book.clock.turn(50);
          await book.process.discardDeadLetters({ type: 'one' });
          await book.process.discardDeadLetters({ type: 'batch' });
        }
        expect(seen.isComplete).toBe(true);
        expect(await completion).toMatchObject([{ waiting: 0, delayed: 0, running: 0 }, true]);
        await book.shutDown();
        book.checkEnd();
        expect(book.unfinished).toEqual([]);
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});
