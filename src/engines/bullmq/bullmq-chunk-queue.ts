import type {
  ChunkCounts,
  ChunkQueue,
  ChunkQueueListener,
  CompletedLease,
  Lease,
  LeaseNote,
  NewChunk,
  StoredId,
} from '../durable/chunk-queue.js';
import { BullmqLease } from './bullmq-lease.js';
import { ChunkConsumer } from './chunk-consumer.js';
import { TextQueue } from './chunk-job.js';
import { encodeKeyPart, typeKeyPrefix } from './key-names.js';
import { isGone, isLostLease } from './lost-lease.js';
import { pipelined } from './lua-script.js';
import { isAborted } from './redis-failure.js';
import type { RedisLink } from './redis-link.js';
import type { RedisStoreOptions } from './redis-store-options.js';

/** The names of BullMQ jobs: chunks of items that wait for their first attempt, and of items that have failed. */
const JOB_NAMES = { first: 'items', retry: 'retry' } as const;

/** What BullMQ calls the states of a chunk. */
const STATES = { waiting: 'wait', delayed: 'delayed', active: 'active' } as const;

/** Chunks as the jobs of a BullMQ queue. */
export class BullmqChunkQueue implements ChunkQueue {
  private made: TextQueue | undefined = undefined;
  private readonly name: string;
  private readonly prefix: string;
  private consumer: ChunkConsumer | undefined = undefined;
  private isClosed = false;

  constructor(
    private readonly link: RedisLink,
    private readonly options: RedisStoreOptions,
    type: string,
    name: string,
    private readonly listener: ChunkQueueListener,
    private readonly isPartition: boolean,
  ) {
    this.name = encodeKeyPart(name);
    this.prefix = typeKeyPrefix(options.prefix, type);
  }

  async add(
    chunks: readonly NewChunk[],
    sent?: (answer: Promise<readonly StoredId[]>) => void,
  ): Promise<readonly StoredId[]> {
    if (chunks.length === 0) return [];
    const jobs = chunks.map(toJob);
    const store = () => this.store(jobs);
    // Who stores a retry has the lease of its items, and keeps trying as long as that.
    return chunks.every(({ isRetry }) => isRetry) ? this.link.persist(store) : this.link.ask(store, sent);
  }

  /** What was answered in part when the connection was lost, the client does not send again by itself, as it does all else. */
  private async store(jobs: ReturnType<typeof toJob>[]): Promise<StoredId[]> {
    for (;;) {
      try {
        return (await this.queue.addBulk(jobs)).map(({ id }) => id!);
      } catch (error) {
        if (!isAborted(error)) throw error;
      }
    }
  }

  watchLapses(): void {
    // Whoever opens the store is told when that fails.
    this.link.open().then(
      () => this.consume()?.watchLapses(),
      () => {},
    );
  }

  async lease(waits: boolean): Promise<Lease | undefined> {
    await this.link.open();
    return this.consume()?.lease(waits);
  }

  stopWaiting(): Promise<void> {
    this.consumer?.stopWaiting();
    return Promise.resolve();
  }

  async renew(leases: readonly Lease[]): Promise<readonly string[]> {
    if (leases.length === 0) return [];
    return this.link.persist(async () => {
      const lost = await this.consume()?.renew(leases.map(asBullmq));
      return lost ?? leases.map(({ chunkId }) => chunkId);
    });
  }

  async note(lease: Lease, note: LeaseNote): Promise<void> {
    await this.held(() => asBullmq(lease).job.updateProgress(note));
  }

  async read(chunkId: string): Promise<unknown> {
    const text = await this.link.persist(() => this.link.client.hget(this.queue.toKey(chunkId), 'data'));
    return text === null ? undefined : (JSON.parse(text) as unknown);
  }

  async complete(lease: Lease): Promise<boolean> {
    const { job, token } = asBullmq(lease);
    return this.held(() => job.moveToCompleted(null, token, false), true);
  }

  async completeAndLease(lease: Lease): Promise<CompletedLease> {
    let next: Lease | undefined = undefined;
    const isHeld = await this.held(async () => {
      next = await this.consume()?.completeAndLease(asBullmq(lease));
    }, true);
    return isHeld ? { isHeld, next } : { isHeld };
  }

  async giveBack(lease: Lease): Promise<boolean> {
    const { job, token } = asBullmq(lease);
    return this.held(() => job.moveToWait(token));
  }

  async postpone(lease: Lease, dueAtMs: number): Promise<boolean> {
    const { job, token } = asBullmq(lease);
    return this.held(() => job.moveToDelayed(Math.ceil(dueAtMs), token), true);
  }

  async counts(): Promise<ChunkCounts> {
    const counts = await this.link.ask(() => this.queue.getJobCounts(...Object.values(STATES)));
    const count = (state: keyof ChunkCounts) => counts[STATES[state]] ?? 0;
    return { waiting: count('waiting'), delayed: count('delayed'), active: count('active') };
  }

  async ids(
    state: keyof ChunkCounts,
    limit: number,
  ): Promise<{ readonly ids: readonly string[]; readonly oldestAtMs: number | undefined }> {
    if (limit <= 0) return { ids: [], oldestAtMs: undefined };
    return this.link.ask(async () => {
      const ids = await this.queue.getRanges([STATES[state]], 0, limit - 1, true);
      const [first] = ids;
      const storedAt =
        first === undefined ? null : await this.link.client.hget(this.queue.toKey(first), 'timestamp');
      return { ids, oldestAtMs: storedAt === null ? undefined : Number(storedAt) };
    });
  }

  async releaseRetries(): Promise<readonly string[]> {
    return this.link.ask(async () => {
      const delayed = await this.queue.getRanges(['delayed'], 0, -1, true);
      const told = await pipelined(this.link.client, (target) =>
        delayed.map((id) => target.hmget(this.queue.toKey(id), 'name', 'progress')),
      );
      const retries = delayed.filter((_, place) => isRetried(told[place] as (string | null)[]));
      const released = await Promise.all(retries.map((id) => this.release(id)));
      return retries.filter((_, place) => released[place]);
    });
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.consumer?.close();
    await this.made?.close();
  }

  /** BullMQ's queue. It is made once the store is open, as BullMQ gives up one whose first try to connect fails. */
  private get queue(): TextQueue {
    return (this.made ??= new TextQueue(this.name, { connection: this.link.client, prefix: this.prefix }));
  }

  /** Undefined once it is closed. */
  private consume(): ChunkConsumer | undefined {
    if (this.isClosed) return undefined;
    // BullMQ's queue writes down how many events to keep.
    void this.queue;
    return (this.consumer ??= new ChunkConsumer(
      this.link,
      this.name,
      this.prefix,
      this.options,
      this.listener,
    ));
  }

  /** @returns false when the lease is lost */
  private async held(use: () => Promise<unknown>, leavesRoom = false): Promise<boolean> {
    const isHeld = await this.link.persist(async () => {
      const { losses } = this.link;
      try {
        await use();
        return true;
      } catch (error) {
        // It was done the first time that it was sent, and the answer was lost with the connection.
        if (isGone(error) && this.link.losses > losses) return true;
        if (isLostLease(error)) return false;
        throw error;
      }
    });
    if (isHeld && leavesRoom && this.isPartition) await this.wakeOne();
    return isHeld;
  }

  /** BullMQ wakes nobody of a queue in which as many chunks are leased as may be, and not when that has changed either. */
  private async wakeOne(): Promise<void> {
    await this.link.persist(() => this.link.client.zadd(this.queue.toKey('marker'), 0, '0'));
  }

  private async release(id: string): Promise<boolean> {
    try {
      await this.queue.getBackend().promote(id);
      return true;
    } catch (error) {
      // It became due meanwhile.
      if (isLostLease(error)) return false;
      throw error;
    }
  }
}

/** Whether a chunk waits for another attempt: it was stored for one, or has been put back with what was noted of it. */
function isRetried([name, note]: readonly (string | null)[]): boolean {
  if (name === JOB_NAMES.retry) return true;
  return ((JSON.parse(note ?? '0') as LeaseNote | 0 | undefined) || {}).attempts !== undefined;
}

function asBullmq(lease: Lease): BullmqLease {
  if (lease instanceof BullmqLease) return lease;
  throw new TypeError(`Expected a lease of this store, got one of chunk ${lease.chunkId}`);
}

function toJob({ id, text, dueAtMs, isRetry, goesFirst, key }: NewChunk) {
  const timestamp = Date.now();
  const delay = Math.max(0, Math.ceil(dueAtMs - timestamp));
  return {
    name: isRetry ? JOB_NAMES.retry : JOB_NAMES.first,
    data: text,
    opts: {
      jobId: id,
      timestamp,
      ...(delay > 0 && { delay }),
      ...(goesFirst && { lifo: true }),
      ...(key !== undefined && { deduplication: toDeduplication(key) }),
    },
  };
}

/** BullMQ refuses an empty id, and takes a time of 0 for none. */
function toDeduplication({ id, heldForMs }: NonNullable<NewChunk['key']>) {
  const deduplication = { id: `key:${id}` };
  return heldForMs === undefined
    ? deduplication
    : { ...deduplication, ttl: Math.max(1, Math.ceil(heldForMs)) };
}
