import { randomBytes } from 'node:crypto';
import type { RedisQueueBackend } from 'bullmq';
import { systemClock, type Timer } from '../../core/clock.js';
import { promiseWithResolve } from '../../core/promise-with-resolve.js';
import { toError } from '../../core/to-error.js';
import { within } from '../../core/within.js';
import type { ChunkQueueListener } from '../durable/chunk-queue.js';
import { BullmqLease } from './bullmq-lease.js';
import { endClient, type RedisClient } from './redis-client.js';
import { asStoreError } from './redis-failure.js';
import { LeasingWorker } from './leasing-worker.js';
import type { RedisLink } from './redis-link.js';
import type { RedisStoreOptions } from './redis-store-options.js';

/** How long a lease that waits does so while nothing comes, in seconds. */
const WAIT_S = 5;
/** How long it waits after an error before it tells that there is nothing, in milliseconds. */
const ERROR_PAUSE_MS = 1_000;

/** How long a closing waits for chunks that are leased while it closes, and given back, in milliseconds. */
const LATE_LEASES_MS = 1_000;

type ConsumerOptions = Pick<RedisStoreOptions, 'leaseMs' | 'lapseCheckMs'>;

/**
 * Leases chunks of one BullMQ queue by its `Worker`, without the worker's own loop. The worker has a connection of its own on which
 * it waits for chunks, and only one call at a time can wait there: the others wait for that call, and then look for
 * themselves.
 */
export class ChunkConsumer {
  private readonly worker: LeasingWorker;
  private readonly tokenPrefix = randomBytes(9).toString('base64url');
  private tokens = 0;
  private blockingClient: RedisClient | undefined = undefined;
  /** Ends when the call that blocks has returned. */
  private blocking: Promise<unknown> | undefined = undefined;
  /** What BullMQ has been asked for and has not answered. */
  private readonly takings = new Set<Promise<void>>();
  private stop = promiseWithResolve<undefined>();
  private lapses = 0;
  private lastTrouble: Error | undefined = undefined;
  private watches = false;
  private isClosed = false;

  constructor(
    private readonly link: RedisLink,
    name: string,
    prefix: string,
    private readonly options: ConsumerOptions,
    private readonly listener: ChunkQueueListener,
  ) {
    this.worker = new LeasingWorker(name, null, {
      connection: link.client,
      prefix,
      autorun: false,
      lockDuration: options.leaseMs,
      stalledInterval: options.lapseCheckMs,
      // What becomes of a chunk whose leases ran out is for the engine to say.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      drainDelay: WAIT_S,
    });
    this.worker.on('error', (error) => this.tell(error));
    this.worker.on('stalled', () => this.countLapse());
    void this.learnBlockingClient();
  }

  watchLapses(): void {
    if (this.watches || this.isClosed) return;
    this.watches = true;
    this.worker.startStalledCheckTimer().catch((error: unknown) => this.tell(error));
  }

  async lease(waits: boolean): Promise<BullmqLease | undefined> {
    if (this.isClosed) return undefined;
    const { promise: stopped } = this.stop;
    try {
      const found = await this.take(stopped, false);
      return found !== undefined || !waits ? found : await this.wait(stopped);
    } catch (error) {
      if (this.isClosed) return undefined;
      this.tell(error);
      if (waits) await this.pauseAfterError(stopped);
      return undefined;
    }
  }

  /** @returns the next lease; undefined when there is nothing to lease */
  async completeAndLease({ job, token }: BullmqLease): Promise<BullmqLease | undefined> {
    const next = await this.worker.completeAndLease(job, token);
    return next && new BullmqLease(next, token);
  }

  /** Leases that wait return. */
  stopWaiting(): void {
    const { resolve } = this.stop;
    this.stop = promiseWithResolve();
    resolve(undefined);
  }

  /** @returns the ids of the chunks whose lease is lost */
  async renew(leases: readonly BullmqLease[]): Promise<string[]> {
    return this.worker.extendJobLocks(
      leases.map(({ chunkId }) => chunkId),
      leases.map(({ token }) => token),
      this.options.leaseMs,
    );
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    this.stopWaiting();
    const closing = this.worker.close(true);
    // The worker does not end what waits for a reconnect.
    if (this.blockingClient !== undefined) endClient(this.blockingClient);
    await closing;
    await within(systemClock, LATE_LEASES_MS, Promise.all(this.takings));
  }

  /** BullMQ also returns from a wait without a chunk: when it has learned when the next one is due. */
  private async wait(stopped: Promise<undefined>): Promise<BullmqLease | undefined> {
    const untilMs = systemClock.now() + WAIT_S * 1_000;
    while (stopped === this.stop.promise && systemClock.now() < untilMs) {
      const canBlock = this.blocking === undefined;
      if (!canBlock) await Promise.race([this.blocking, stopped]);
      const found = await this.take(stopped, canBlock);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Whoever asked does not wait longer than until `stopped`. What BullMQ then leases in spite of it goes back at once. */
  private async take(stopped: Promise<undefined>, blocks: boolean): Promise<BullmqLease | undefined> {
    if (stopped !== this.stop.promise) return undefined;
    const token = `${this.tokenPrefix}.${++this.tokens}`;
    const taking = this.worker
      .getNextJob(token, { block: blocks })
      .then((job) => (job === undefined ? undefined : new BullmqLease(job, token)));
    this.remember(taking, blocks);
    const lease = await Promise.race([taking, stopped]);
    if (lease !== undefined) return lease;
    const givenBack = taking.then((late) => late?.job.moveToWait(late.token));
    this.remember(givenBack, false);
    return undefined;
  }

  private remember(taking: Promise<unknown>, blocks: boolean): void {
    const ended: Promise<void> = taking.then(ignore, ignore).finally(() => {
      this.takings.delete(ended);
      if (this.blocking === ended) this.blocking = undefined;
    });
    this.takings.add(ended);
    if (blocks) this.blocking = ended;
  }

  private async pauseAfterError(stopped: Promise<undefined>): Promise<void> {
    let timer: Timer | undefined = undefined;
    const pause = new Promise<void>((resolve) => (timer = systemClock.setTimer(resolve, ERROR_PAUSE_MS)));
    await Promise.race([pause, stopped]);
    (timer as Timer | undefined)?.cancel();
  }

  /** BullMQ tells the lapsed leases of a check one by one. */
  private countLapse(): void {
    this.lapses++;
    if (this.lapses > 1) return;
    queueMicrotask(() => {
      const count = this.lapses;
      this.lapses = 0;
      this.listener.lapsed(count);
    });
  }

  /** An error of the shared connection reaches a worker by several ways. */
  private tell(thrown: unknown): void {
    const error = toError(thrown);
    if (this.isClosed || error === this.lastTrouble) return;
    this.lastTrouble = error;
    this.listener.troubled(asStoreError(error, this.link.address));
  }

  private async learnBlockingClient(): Promise<void> {
    try {
      const backend: RedisQueueBackend = this.worker.getBackend();
      await backend.waitUntilReady();
      this.blockingClient = (await backend.blockingClient) as unknown as RedisClient;
    } catch {
      // It was closed before it was ready.
    }
  }
}

function ignore(): void {}
