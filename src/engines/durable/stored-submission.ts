import { closeIterator } from '../../core/close-iterator.js';
import { isThenable } from '../../core/is-thenable.js';
import { keyOf, keysOf } from '../../core/item-keys.js';
import type { Job, JobProducer } from '../../core/job.js';
import type { ClassifiedSource } from '../../core/sources.js';
import type { SubmitOptions } from '../../core/submit-options.js';
import type { TimeSlices } from '../../core/time-slices.js';
import { toError } from '../../core/to-error.js';
import { ArrayPacking } from './array-packing.js';
import type { ChunkIds } from './chunk-ids.js';
import { ChunkPacker, type PackedChunk } from './chunk-packer.js';
import type { DurableType } from './durable-type.js';
import { groupBy } from './group-by.js';
import { itemText } from './item-text.js';
import type { JobRecords, SourceEndRecord } from './job-records.js';
import { isStoreAway } from './store-away.js';
import { StoredCounts } from './stored-counts.js';
import { WriteBehind } from './write-behind.js';

/** What a submission works with. */
export interface SubmissionSetting {
  readonly records: JobRecords;
  readonly ids: ChunkIds;
  readonly maxItemBytes: number;
  /** Milliseconds since the Unix epoch before which nothing of it starts; 0: at once. */
  readonly dueAtMs: number;
  readonly slices: TimeSlices;
  /** Told of what goes on when whoever submitted waits no more. */
  readonly goesOn: (work: Promise<unknown>) => void;
}

/**
 * Brings the items of one job into the store, in chunks. The job's record tells what of it is there, so that whoever dies
 * in the middle leaves a job that says how far it came. The record of one that is broken off is told in the background, once it
 * is known what is there and the store takes it.
 */
export class StoredSubmission implements JobProducer {
  private readonly packer: ChunkPacker;
  private readonly writes = new WriteBehind();
  private readonly counts = new StoredCounts();
  private isStopped = false;
  /** Ends the wait for the next item of a stream. */
  private wakeUp: () => void = () => undefined;
  /** Items that have been read, the duplicates among them. */
  private read = 0;

  constructor(
    private readonly job: Job,
    private readonly type: DurableType,
    private readonly options: SubmitOptions,
    private readonly setting: SubmissionSetting,
  ) {
    this.packer = new ChunkPacker(job, type, options, setting);
    job.producer = this;
  }

  stop(): void {
    this.isStopped = true;
    this.wakeUp();
  }

  /**
   * For an item and an array. All payloads are looked at before anything is stored.
   *
   * @throws InvalidPayloadError, ItemTooLargeError, InvalidOptionsError, and nothing is stored; what the store throws
   */
  async storeAll(work: Exclude<ClassifiedSource<unknown>, { kind: 'stream' }>): Promise<void> {
    const packing = this.packingOf(work);
    await packing.pack();
    await packing.checkRest();
    await this.create();
    try {
      await this.storeAllOf(packing);
    } catch (error) {
      this.setting.goesOn(this.finish({ kind: 'interrupted' }));
      throw error;
    }
    const failure = work.kind === 'array' ? work.failure : undefined;
    await this.seal(failure === undefined ? this.endOfSource() : failedWith(failure));
  }

  private packingOf(work: Exclude<ClassifiedSource<unknown>, { kind: 'stream' }>): ArrayPacking {
    const { uniqueKey, orderKey } = this.options;
    const items = {
      payloads: work.kind === 'item' ? [work.payload] : work.payloads,
      uniqueKeys: uniqueKey === undefined ? undefined : keysOf('uniqueKey', uniqueKey, work),
      orderKeys: orderKey === undefined ? undefined : keysOf('orderKey', orderKey, work),
    };
    const { type, limits } = this.type;
    const { maxItemBytes, slices } = this.setting;
    return new ArrayPacking(items, this.packer, { type, limits, maxItemBytes, slices });
  }

  private async storeAllOf(packing: ArrayPacking): Promise<void> {
    while (!this.packer.isEmpty && !this.job.isCancelled) {
      await this.write();
      await packing.pack();
    }
    await this.writes.end();
  }

  private endOfSource(): SourceEndRecord {
    return { kind: this.isStopped ? 'interrupted' : 'reached' };
  }

  /** Makes the job's record, so that it can be found from now on. @throws what the store throws */
  async create(): Promise<void> {
    await this.setting.records.create(this.job.id, this.job.type);
  }

  /** Reads a stream to its end, or until it is stopped. Never rejects: what goes wrong ends the job, which was created before. */
  async storeStream(iterator: Iterator<unknown> | AsyncIterator<unknown>): Promise<void> {
    const failure = await this.readAndStore(iterator);
    try {
      await this.finish(failure === undefined ? this.endOfSource() : failedWith(failure));
    } catch {
      // The record will not be told any more: this process's part of the job ends with what is known here.
      this.job.seal(failure ?? 'interrupted');
    }
  }

  /** @returns what went wrong */
  private async readAndStore(
    iterator: Iterator<unknown> | AsyncIterator<unknown>,
  ): Promise<Error | undefined> {
    try {
      await this.readAll(iterator);
      await this.flush();
      return undefined;
    } catch (error) {
      void closeIterator(iterator);
      // What has been read before it failed is stored as far as the store takes it.
      await this.flush().catch(() => undefined);
      return toError(error);
    }
  }

  private async readAll(iterator: Iterator<unknown> | AsyncIterator<unknown>): Promise<void> {
    const { slices } = this.setting;
    while (!this.isStopped) {
      const answer = iterator.next();
      const next = isThenable(answer) ? await this.waitFor(answer) : answer;
      if (next === undefined) break;
      if (next.done === true) return;
      this.addPayload(next.value);
      if (this.packer.isWriteFull) await this.write();
      if (slices.spend(1)) await slices.pause();
    }
    void closeIterator(iterator);
  }

  /** A source that has to be waited for must not hold back what it has given already. @returns undefined when it was stopped */
  private async waitFor<Next>(answer: PromiseLike<Next>): Promise<Next | undefined> {
    if (!this.packer.isEmpty) await this.flushUnless(answer);
    return this.unlessStopped(answer);
  }

  /** A source that is stopped need not answer any more. @returns undefined when it was */
  private unlessStopped<Next>(next: PromiseLike<Next>): Promise<Next | undefined> {
    return new Promise((resolve, reject) => {
      this.wakeUp = () => resolve(undefined);
      next.then(resolve, reject);
      if (this.isStopped) resolve(undefined);
    });
  }

  /** Stores what there is, unless the next item is there within a turn of the event loop. */
  private async flushUnless(next: PromiseLike<unknown>): Promise<void> {
    const isThere = await Promise.race([
      next.then(
        () => true,
        () => true,
      ),
      new Promise<false>((resolve) => setImmediate(() => resolve(false))),
    ]);
    if (!isThere) await this.flush();
  }

  private addPayload(payload: unknown): void {
    const place = this.read++;
    const { uniqueKey, orderKey } = this.options;
    this.packer.add(
      itemText(payload, this.type.type, place, this.setting.maxItemBytes),
      uniqueKey === undefined ? undefined : keyOf('uniqueKey', uniqueKey, payload, place),
      orderKey === undefined ? undefined : keyOf('orderKey', orderKey, payload, place),
    );
  }

  /** Stores all that has been read. */
  private async flush(): Promise<void> {
    this.packer.close();
    if (!this.packer.isEmpty && !this.job.isCancelled) await this.write();
    await this.writes.end();
  }

  private write(): Promise<void> {
    const chunks = this.packer.take();
    return this.writes.begin(() => this.store(chunks));
  }

  private async store(chunks: readonly PackedChunk[]): Promise<void> {
    if (this.options.orderKey !== undefined) await this.type.markOrdered();
    const { counts } = this;
    const { accepted, duplicates } = counts;
    for (const [queue, parts] of groupBy(chunks, (packed) => packed.queue)) {
      await queue.add(
        parts.map(({ chunk }) => chunk),
        (answer) => counts.follow(parts, answer),
      );
    }
    await counts.whenKnown();
    this.job.duplicates = counts.duplicates;
    const isCancelled = await this.setting.records.accept(
      this.job.id,
      counts.accepted - accepted,
      counts.duplicates - duplicates,
    );
    if (!isCancelled) return;
    this.job.isCancelled = true;
    this.stop();
  }

  /** All items are there: when only the end can't be told at the moment, whoever submitted them is not told that they failed. */
  private async seal(end: SourceEndRecord): Promise<void> {
    const { records, goesOn } = this.setting;
    try {
      await records.seal(this.job.id, end, this.counts, goesOn);
    } catch (error) {
      if (!isStoreAway(error)) throw error;
    }
    this.job.producer = undefined;
  }

  /** Tells the record how the source ended, however long that takes. */
  private async finish(end: SourceEndRecord): Promise<void> {
    await this.writes.end().catch(() => undefined);
    await this.counts.whenKnown();
    const writes: Promise<unknown>[] = [];
    const answer = this.setting.records.seal(this.job.id, end, this.counts, (told) => writes.push(told));
    // It may say only that it will take longer.
    await answer.catch(() => undefined);
    await Promise.all(writes);
    this.job.producer = undefined;
  }
}

function failedWith({ message }: Error): SourceEndRecord {
  return { kind: 'failed', message };
}
