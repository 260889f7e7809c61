/* oxlint-disable jest/no-standalone-expect, jest/no-conditional-expect -- the model checks as it goes */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { Job } from '../../../src/core/job.js';
import { Envelope } from '../../../src/core/envelope.js';
import { SEGMENT_LENGTH, type Segment } from '../../../src/core/segment.js';
import type { TakenItem } from '../../../src/core/waiting-items.js';
import { WorkQueue } from '../../../src/core/work-queue.js';
import { makeJob } from '../../support/jobs.js';
import { emptyBatch, emptyItem } from '../../support/taken-items.js';

interface Expected {
  job: number;
  index: number;
  payload: unknown;
  attempt: number;
}

const JOBS = newJobs();

function newJobs(): Job[] {
  return Array.from({ length: 4 }, (_, number) => makeJob(number));
}

/** Drops a job as a cancel does. */
function drop(queue: WorkQueue, job: Job): number {
  job.isDropped = true;
  return queue.drop(job);
}

/** The segments that the queue holds, found by following the links. */
function linkedSegments(queue: WorkQueue): Segment[] {
  const segments: Segment[] = [];
  const { head } = queue as unknown as { head: Segment };
  for (let segment: Segment | undefined = head; segment !== undefined; segment = segment.next)
    segments.push(segment);
  return segments;
}

function slotsOf(queue: WorkQueue): number {
  return linkedSegments(queue).reduce((sum, segment) => sum + segment.capacity, 0);
}

/** A queue next to a plain array that shall always agree with it. */
class QueueWithModel {
  readonly queue = new WorkQueue();
  readonly model: Expected[] = [];
  private readonly jobs = newJobs();
  private readonly next = JOBS.map(() => 0);
  private payloads = 0;

  push(job: number): void {
    const index = this.next[job]!++;
    const payload = this.payload();
    this.queue.push(this.jobs[job]!, index, payload);
    this.model.push({ job, index, payload, attempt: 1 });
  }

  pushMany(job: number, count: number, skip: number): void {
    const first = this.next[job]!;
    this.next[job]! += count;
    const payloads = Array.from({ length: skip + count + 1 }, () => this.payload());
    this.queue.pushMany(this.jobs[job]!, first, payloads, skip, skip + count);
    for (let i = 0; i < count; i++) {
      this.model.push({ job, index: first + i, payload: payloads[skip + i], attempt: 1 });
    }
  }

  pushEnvelope(job: number, attempts: number): void {
    const index = 1_000_000 + this.payloads;
    const payload = this.payload();
    this.queue.pushEnvelope(new Envelope(payload, this.jobs[job]!, index, attempts));
    this.model.push({ job, index, payload, attempt: attempts + 1 });
  }

  take(): void {
    const item = emptyItem();
    const isTaken = this.queue.take(item);
    const expected = this.model.shift();
    expect(isTaken).toBe(expected !== undefined);
    if (expected !== undefined) expect(seen(item, this.jobs)).toEqual(expected);
  }

  takeBatch(limit: number): void {
    const batch = emptyBatch();
    const count = this.queue.takeBatch(batch, limit);
    const expected = this.model.splice(0, limit);
    expect(count).toBe(expected.length);
    // Compared by hand first: Jest's comparison of thousands of items takes seconds.
    const differs = expected.findIndex(
      (item, place) =>
        !Object.is(batch.payloads[place], item.payload) ||
        !Object.is(batch.kept[place], item.payload) ||
        batch.jobs[place] !== this.jobs[item.job] ||
        batch.indices[place] !== item.index ||
        batch.attempts[place] !== item.attempt,
    );
    expect(differs).toBe(-1);
  }

  /** What comes after is of a new job; or of the same, once what was dropped has been taken out. */
  drop(job: number, next: 'a new job' | 'the same job'): void {
    const kept = this.model.filter((item) => item.job !== job);
    const dropped = this.jobs[job]!;
    expect(drop(this.queue, dropped)).toBe(this.model.length - kept.length);
    this.model.splice(0, this.model.length, ...kept);
    if (next === 'a new job') {
      this.jobs[job] = makeJob(job);
      this.next[job] = 0;
    } else {
      this.queue.takeOutDropped();
      dropped.isDropped = false;
    }
  }

  check(): void {
    expect(this.queue.size).toBe(this.model.length);
    const waiting = this.jobs.map((_, number) => this.model.filter(({ job }) => job === number).length);
    expect(this.jobs.map((job) => job.waiting)).toEqual(waiting);
  }

  /** Slots that hold something. */
  get filledSlots(): number {
    return linkedSegments(this.queue).reduce((sum, { filled, taken }) => sum + filled - taken, 0);
  }

  /** Payloads of every awkward kind come by; the queue must not look at any of them. */
  private payload(): unknown {
    const number = this.payloads++;
    const awkward = [undefined, null, Symbol.for('payload'), NaN, false];
    return number % 7 < awkward.length ? awkward[number % 7] : number;
  }
}

function seen({ job, index, payload, attempt }: TakenItem, jobs: readonly Job[]): Expected {
  return { job: jobs.indexOf(job), index, payload, attempt };
}

type Step = (pair: QueueWithModel) => void;

const jobNumber = fc.nat({ max: JOBS.length - 1 });
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: jobNumber.map((number) => (pair: QueueWithModel) => pair.push(number)) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        jobNumber,
        fc.oneof(fc.nat({ max: 12 }), fc.nat({ max: 3 * SEGMENT_LENGTH })),
        fc.nat({ max: 3 }),
      )
      .map(
        ([number, count, skip]) =>
          (pair: QueueWithModel) =>
            pair.pushMany(number, count, skip),
      ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(jobNumber, fc.integer({ min: 0, max: 5 })).map(
      ([number, attempts]) =>
        (pair: QueueWithModel) =>
          pair.pushEnvelope(number, attempts),
    ),
  },
  { weight: 6, arbitrary: fc.constant((pair: QueueWithModel) => pair.take()) },
  {
    weight: 3,
    arbitrary: fc
      .oneof(fc.nat({ max: 5 }), fc.nat({ max: 2 * SEGMENT_LENGTH }))
      .map((limit) => (pair: QueueWithModel) => pair.takeBatch(limit)),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(jobNumber, fc.constantFrom('a new job' as const, 'the same job' as const)).map(
      ([number, next]) =>
        (pair: QueueWithModel) =>
          pair.drop(number, next),
    ),
  },
);

describe('WorkQueue', () => {
  it('gives items back in their order, with their job, index and attempt, however they came', () => {
    fc.assert(
      fc.property(fc.array(steps, { minLength: 1, maxLength: 40 }), (sequence) => {
        const pair = new QueueWithModel();
        for (const step of sequence) {
          step(pair);
          pair.check();
          expect(pair.filledSlots).toBeLessThanOrEqual(2 * pair.model.length + 2 * SEGMENT_LENGTH);
        }
        while (pair.model.length > 0) pair.takeBatch(500);
        pair.take();
        expect(linkedSegments(pair.queue).length).toBeLessThanOrEqual(2);
      }),
      { numRuns: 400 },
    );
  });

  it('numbers the items of a job without a gap although other jobs and retries come between', () => {
    const queue = new WorkQueue();
    const counts = [0, 0, 0];
    for (let round = 0; round < 5_000; round++) {
      const number = round % 3;
      if (round % 11 === 0) {
        queue.pushMany(JOBS[number]!, counts[number]!, Array.from({ length: 20 }), 0, 20);
        counts[number]! += 20;
      } else {
        queue.push(JOBS[number]!, counts[number]!++, round);
      }
      if (round % 5 === 0) queue.pushEnvelope(new Envelope(round, JOBS[3]!, round, 2));
    }
    const next = [0, 0, 0];
    const item = emptyItem();
    while (queue.take(item)) {
      const number = JOBS.indexOf(item.job);
      if (number === 3) continue;
      expect(item.index).toBe(next[number]!++);
    }
    expect(next).toEqual(counts);
  });

  it('never touches a payload: not even a revoked proxy or one that throws at each look', () => {
    const { proxy: revoked, revoke } = Proxy.revocable({}, {});
    revoke();
    const explosive = new Proxy(
      {},
      new Proxy({}, { get: (_, trap) => () => expect(`trap ${String(trap)}`).toBe('not called') }),
    );
    const queue = new WorkQueue();
    queue.push(JOBS[0]!, 0, revoked);
    queue.pushMany(JOBS[1]!, 0, [explosive, revoked], 0, 2);
    queue.push(JOBS[1]!, 2, explosive);
    expect(drop(queue, makeJob())).toBe(0);
    const item = emptyItem();
    const payloads: unknown[] = [];
    while (queue.take(item)) payloads.push(item.payload);
    expect(payloads[0] === revoked).toBe(true);
    expect(payloads[1] === explosive).toBe(true);
    expect(payloads[2] === revoked).toBe(true);
    expect(payloads[3] === explosive).toBe(true);
  });

  it('takes a million items through, and holds fewer and fewer segments as it drains', () => {
    const queue = new WorkQueue();
    const million = 1_000_000;
    queue.pushMany(JOBS[0]!, 0, new Array(million).fill('payload'), 0, million);
    expect(slotsOf(queue)).toBeLessThanOrEqual(million + SEGMENT_LENGTH);
    const item = emptyItem();
    let wrong = 0;
    for (let i = 0; i < million; i++) {
      if (!queue.take(item) || item.index !== i) wrong++;
      if (i % 100_000 === 0) {
        expect(slotsOf(queue)).toBeLessThanOrEqual(million - i + 2 * SEGMENT_LENGTH);
      }
    }
    expect(wrong).toBe(0);
    expect(queue.size).toBe(0);
    expect(linkedSegments(queue)).toHaveLength(1);
  });

  it('does not keep a payload that was taken', () => {
    const queue = new WorkQueue();
    queue.pushMany(JOBS[0]!, 0, Array.from({ length: 100 }), 0, 100);
    queue.push(JOBS[1]!, 0, { kept: true });
    while (queue.take(emptyItem()));
    expect(linkedSegments(queue).flatMap(({ slots }) => slots.filter((slot) => slot !== undefined))).toEqual(
      [],
    );
  });

  it('keeps a few slots for each waiting item at the most, whatever the pieces that came', () => {
    const pieces = [
      (queue: WorkQueue, round: number) => queue.pushMany(makeJob(round), 0, new Array(9).fill(0), 0, 9),
      (queue: WorkQueue, round: number) => queue.push(makeJob(round), 0, 0),
      (queue: WorkQueue, round: number) => queue.pushEnvelope(new Envelope(0, makeJob(round), 0, 1)),
    ];
    const queue = new WorkQueue();
    for (let round = 0; round < 9_000; round++) pieces[round % 3]!(queue, round);
    expect(slotsOf(queue)).toBeLessThanOrEqual(3 * queue.size + SEGMENT_LENGTH);
  });

  it('stays one short segment without envelopes under a trickle that is taken as it comes', () => {
    const queue = new WorkQueue();
    const item = emptyItem();
    for (let i = 0; i < 2_000; i++) {
      queue.push(makeJob(i), 0, i);
      expect(linkedSegments(queue).some(({ envelopes }) => envelopes !== undefined)).toBe(false);
      expect(queue.take(item)).toBe(true);
      expect(item.payload).toBe(i);
    }
    expect(linkedSegments(queue).length).toBeLessThanOrEqual(2);
    expect(slotsOf(queue)).toBeLessThanOrEqual(2 * SEGMENT_LENGTH);
  });

  it('gives the memory of a dropped job back at once, wherever in the queue it stood', () => {
    const queue = new WorkQueue();
    const [first, second, third, fourth] = newJobs() as [Job, Job, Job, Job];
    const many = 100 * SEGMENT_LENGTH;
    const payloads = new Array<unknown>(many).fill(0);
    queue.pushMany(first, 0, payloads, 0, 20);
    queue.pushMany(second, 0, payloads, 0, many);
    queue.pushMany(third, 0, payloads, 0, 20);
    expect(drop(queue, second)).toBe(many);
    expect(queue.size).toBe(40);
    expect(slotsOf(queue)).toBeLessThanOrEqual(100);
    expect(drop(queue, first)).toBe(20);
    expect(drop(queue, third)).toBe(20);
    expect(drop(queue, third)).toBe(0);
    expect(linkedSegments(queue)).toHaveLength(1);
    queue.push(fourth, 0, 'after');
    const item = emptyItem();
    expect(queue.take(item)).toBe(true);
    expect(seen(item, [fourth])).toEqual({ job: 0, index: 0, payload: 'after', attempt: 1 });
    expect(queue.take(item)).toBe(false);
  });

  it('keeps no payload of a dropped job when nothing else waits', () => {
    const queue = new WorkQueue();
    const job = makeJob();
    queue.pushMany(job, 0, [{}, {}, {}], 0, 3);
    drop(queue, job);
    expect(linkedSegments(queue).flatMap(({ slots }) => slots.filter((slot) => slot !== undefined))).toEqual(
      [],
    );
  });

  it('keeps no payload of a dropped job once the others have been taken', () => {
    const queue = new WorkQueue();
    const [live, dropped] = newJobs() as [Job, Job];
    queue.push(live, 0, 'live');
    queue.pushMany(
      dropped,
      0,
      Array.from({ length: 1_000 }, () => ({})),
      0,
      1_000,
    );
    drop(queue, dropped);
    expect(queue.take(emptyItem())).toBe(true);
    expect(linkedSegments(queue).flatMap(({ slots }) => slots.filter((slot) => slot !== undefined))).toEqual(
      [],
    );
  });

  it('looks at the queue a few times, however many jobs of one item are dropped from it', () => {
    const queue = new WorkQueue();
    const jobs = Array.from({ length: 40_000 }, (_, number) => makeJob(number));
    for (const job of jobs) queue.push(job, 0, 0);
    let sweeps = 0;
    const takeOutDropped = queue.takeOutDropped.bind(queue);
    queue.takeOutDropped = () => {
      sweeps++;
      takeOutDropped();
    };
    for (const job of jobs) drop(queue, job);
    expect(queue.size).toBe(0);
    expect(sweeps).toBeLessThan(40);
  });

  it('hands a batch out in an array of its own', () => {
    const queue = new WorkQueue();
    queue.pushMany(JOBS[0]!, 0, [1, 2, 3, 4], 0, 4);
    const batch = emptyBatch();
    queue.takeBatch(batch, 2);
    const first = batch.payloads;
    queue.takeBatch(batch, 2);
    expect(first).toEqual([1, 2]);
    expect(batch.payloads).toEqual([3, 4]);
    expect(queue.takeBatch(batch, 2)).toBe(0);
    expect(batch.payloads).toEqual([]);
  });
});
