import { systemClock } from '../../core/clock.js';
import { promiseWithResolve } from '../../core/promise-with-resolve.js';
import { toError } from '../../core/to-error.js';
import { within } from '../../core/within.js';
import { isReadOnly } from './read-only.js';
import { redisAddress } from './redis-address.js';
import { endClient, makeRedisClient, type RedisClient } from './redis-client.js';
import { asStoreError } from './redis-failure.js';
import type { RedisStoreOptions } from './redis-store-options.js';
import { StoreUnavailableError, StoreUnreachableError } from './store-errors.js';

/** How long Redis may take for what is under way when the connection is closed, in milliseconds. */
const QUIT_TIMEOUT_MS = 2_000;

/** How long to wait before a server that refuses to write is asked again, in milliseconds. */
const READ_ONLY_PAUSE_MS = 500;

/** How long to wait before what Redis refused to write is tried again, in milliseconds. */
const REFUSED_PAUSE_MS = 500;

const MAX_LISTENERS = 100_000;

/** The one connection that all parts of a store share for their commands. */
export class RedisLink {
  readonly client: RedisClient;
  readonly address: string;
  private opening: Promise<void> | undefined = undefined;
  private isOpen = false;
  private isClosed = false;
  private readonly closed = promiseWithResolve<void>();
  private lastError: Error | undefined = undefined;
  /** What to tell of a lost connection. */
  private readonly onLoss = new Set<() => void>();
  /** How often the connection has been lost. */
  losses = 0;

  constructor(private readonly options: RedisStoreOptions) {
    this.client = makeRedisClient(options);
    this.address = redisAddress(options);
    // Each queue of each worker type listens; it is no leak. BullMQ counts up from this, so that 0 would not be "any number".
    this.client.setMaxListeners(MAX_LISTENERS);
    this.client.on('error', (error: Error) => (this.lastError = error));
    this.client.on('close', () => this.lose());
    this.client.on('ready', () => (this.lastError = undefined));
  }

  /** @throws StoreUnreachableError */
  open(): Promise<void> {
    return (this.opening ??= this.connect());
  }

  /**
   * Asks on behalf of somebody who may not want to wait while Redis is down: `whenDown` says.
   *
   * @param sent is given the answer, when the question is sent: it may come long after an error
   * @throws StoreUnavailableError
   */
  async ask<T>(question: () => Promise<T>, sent?: (answer: Promise<T>) => void): Promise<T> {
    if (!this.isOpen) await this.open();
    switch (this.options.whenDown) {
      case 'fail': {
        if (this.client.status !== 'ready') throw new StoreUnavailableError(this.address, this.lastError);
        const answer = question();
        sent?.(answer);
        return this.orLoss(answer);
      }
      case 'wait': {
        const answer = this.persist(question);
        sent?.(answer);
        return answer;
      }
      default:
        throw this.options.whenDown satisfies never;
    }
  }

  /**
   * Has something written that must be, however long that takes and however often Redis refuses it. Who asked waits for it only
   * as with `ask`: an error says that it is not yet written.
   *
   * @param sent is given the answer that comes when it is written
   */
  insist<T>(question: () => Promise<T>, sent?: (answer: Promise<T>) => void): Promise<T> {
    const first = this.persist(question);
    const written = first.catch((error: unknown) => this.repeat(question, error));
    written.catch(() => {});
    sent?.(written);
    return this.ask(() => first);
  }

  private async repeat<T>(question: () => Promise<T>, refusal: unknown): Promise<T> {
    if (this.isClosed || !(refusal instanceof StoreUnavailableError)) throw refusal;
    await within(systemClock, REFUSED_PAUSE_MS, this.closed.promise);
    return this.persist(question).catch((error: unknown) => this.repeat(question, error));
  }

  /**
   * Asks until Redis answers, however long that takes; a replica is asked until it, or another, is the primary.
   *
   * @throws StoreUnavailableError when Redis refuses for another reason, or at `close`
   */
  async persist<T>(question: () => Promise<T>): Promise<T> {
    if (!this.isOpen) await this.open();
    for (;;) {
      if (this.isClosed) throw new StoreUnavailableError(this.address, this.lastError);
      try {
        return await question();
      } catch (error) {
        if (!isReadOnly(error)) throw asStoreError(error, this.address);
        this.lastError = toError(error);
        await within(systemClock, READ_ONLY_PAUSE_MS, this.closed.promise);
      }
    }
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    this.closed.resolve();
    try {
      // While Redis is down, `quit` would wait for it to come back; while it does not answer, for ever.
      if (this.client.status === 'ready') await within(systemClock, QUIT_TIMEOUT_MS, this.client.quit());
    } catch {
      // It is gone already.
    } finally {
      endClient(this.client);
      this.lose();
    }
  }

  private async connect(): Promise<void> {
    if (this.isClosed) throw new StoreUnavailableError(this.address);
    const { client } = this;
    let timer: NodeJS.Timeout;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new StoreUnreachableError(this.address, this.options.connectTimeoutMs, this.lastError)),
        this.options.connectTimeoutMs,
      );
    });
    const ready = new Promise<void>((resolve) => client.once('ready', resolve));
    const ended = new Promise<never>((_, reject) => {
      client.once('end', () =>
        reject(new StoreUnreachableError(this.address, this.options.connectTimeoutMs, this.lastError)),
      );
    });
    ended.catch(() => {});
    // It fails with the first try; the next ones are the client's.
    client.connect().catch((error: unknown) => (this.lastError ??= toError(error)));
    try {
      await Promise.race([ready, ended, late]);
      this.isOpen = true;
    } catch (error) {
      this.isClosed = true;
      endClient(client);
      throw error;
    } finally {
      clearTimeout(timer!);
    }
  }

  private lose(): void {
    this.losses++;
    for (const tell of this.onLoss) tell();
    this.onLoss.clear();
  }

  /** What was sent and not answered when the connection is lost will be sent again; who asked does not wait for that. */
  private async orLoss<T>(answer: Promise<T>): Promise<T> {
    let tell!: () => void;
    const loss = new Promise<never>((_, reject) => {
      tell = () => reject(new StoreUnavailableError(this.address, this.lastError));
    });
    this.onLoss.add(tell);
    try {
      return await Promise.race([answer, loss]);
    } catch (error) {
      throw asStoreError(error, this.address);
    } finally {
      this.onLoss.delete(tell);
    }
  }
}
