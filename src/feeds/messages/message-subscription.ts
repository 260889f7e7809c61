import type { Job } from '../../core/job.js';
import { describe } from '../../core/describe.js';
import {
  BackgroundWorkerError,
  InvalidOptionsError,
  ProcessClosedError,
  UnrecoverableError,
} from '../../core/errors.js';
import { isThenable } from '../../core/is-thenable.js';
import { toError } from '../../core/to-error.js';
import { errorText } from '../../core/error-text.js';
import type { FeedDoor } from '../feed-door.js';
import { INSPECT, inspection, type Inspect } from '../../core/inspection.js';
import { GatheredRetries } from './gathered-retries.js';
import {
  checkMessageOptions,
  type Acknowledge,
  type MessageOptions,
  type ToItems,
} from './message-options.js';

/** What a sender is told of its message. */
export interface MessageReceipt {
  readonly jobId: string;
  /** Items that the message became. */
  readonly items: number;
  /** Items that completed; undefined when the receipt was given before they ended. */
  readonly done: number | undefined;
  /** Items that became dead letters; undefined when the receipt was given before they ended. */
  readonly failed: number | undefined;
  /**
   * Items that were cancelled, by `cancel` of their job: they were not worked on to their end, and nobody will. Undefined
   * when the receipt was given before they ended.
   */
  readonly cancelled: number | undefined;
  /** Why the message was refused; undefined when it was not. It is kept as a dead letter then. */
  readonly rejected: string | undefined;
}

/** Hands a message over. Resolves when it is taken; rejects when it must be kept by who sent it. */
export type Deliver<Message> = (message: Message) => Promise<MessageReceipt>;

/** Lets messages come, by calling `deliver` for each. @returns what ends this */
export type Subscribe<Message> = (deliver: Deliver<Message>) => Unsubscribe | Promise<Unsubscribe>;
export type Unsubscribe = () => void | Promise<void>;

/** Thrown when `toItems` returns nothing, so that a forgotten `return` does not make messages vanish. */
export class NoItemsError extends UnrecoverableError {
  override readonly code = 'NO_ITEMS';

  constructor() {
    super('toItems returned undefined; expected the item, or an array of items ([] to ignore the message)');
  }
}

/** The subscription was closed, by itself: the worker process goes on. */
export class SubscriptionClosedError extends BackgroundWorkerError {
  readonly code = 'SUBSCRIPTION_CLOSED';

  constructor(
    /** The worker type that the items would have gone to. */
    readonly type: string,
  ) {
    super(`Message for ${describe(type)}: the subscription is closed and takes no more messages`);
  }
}

/** What a message became: the job of its items, or a dead letter. */
type Taken =
  | {
      readonly kind: 'queued';
      readonly job: Job;
      /** Items of the message; a job that was cancelled meanwhile has not taken all of them in. */
      readonly items: number;
    }
  | { readonly kind: 'refused'; readonly receipt: MessageReceipt };

/** A stream of messages whose items go to one worker type, as long as it is open. */
export class MessageSubscription<Message, Payload> {
  private opened: Promise<Unsubscribe | undefined> = Promise.resolve(undefined);
  private closing: Promise<void> | undefined = undefined;
  /** What the messages end as that were taken and are not settled, acknowledged or not. */
  private readonly unsettled = new Set<Promise<MessageReceipt>>();
  /** The jobs of those that are in the queue. */
  private readonly jobs = new Set<Job>();
  /** Set once what awaits a retry is to be run at once. */
  private retries: GatheredRetries | undefined = undefined;

  /** @internal */
  constructor(
    private readonly door: FeedDoor,
    /** The worker type that the items go to. */
    readonly type: string,
    private readonly options: MessageOptions<Message, Payload> = {},
    private readonly onClosed: () => void = () => undefined,
  ) {
    checkMessageOptions(type, options);
  }

  /**
   * Takes one message in. When it rejects, the sender is to keep the message.
   *
   * @param toItems in place of that of the options
   * @throws SubscriptionClosedError when the subscription is closed
   * @throws ProcessClosedError when the process shuts down before the message is taken (with `acknowledge: 'settled'`,
   *   before it is settled)
   * @throws QueueFullError when too many submissions wait for room already
   * @throws DeadLettersFullError when `toItems` refuses the message and as many dead letters are kept as may be
   */
  deliver(
    message: Message,
    toItems: ToItems<Message, Payload> | undefined = this.options.toItems,
  ): Promise<MessageReceipt> {
    const taking = this.take(message, toItems);
    const settled = this.settle(taking);
    this.unsettled.add(settled);
    const forget = () => void this.unsettled.delete(settled);
    settled.then(forget, forget);
    return this.acknowledge === 'settled' ? settled : stored(taking, settled);
  }

  /**
   * Lets messages come.
   *
   * @throws what `subscribe` throws; InvalidOptionsError when it is no function or returns none; the subscription is closed then
   */
  async open(subscribe: Subscribe<Message>): Promise<void> {
    const opening = this.callSubscribe(subscribe);
    // What could not be opened has nothing to unsubscribe from.
    this.opened = opening.catch(() => undefined);
    try {
      await opening;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /**
   * Takes no more messages, runs at once what awaits a retry of those that were taken before, and resolves when every one
   * of them is settled, also where they were acknowledged before (`acknowledge: 'stored'`); rejects then if unsubscribing
   * failed. An item that fails after that has its backoff waited out, as a moment would else use up its attempts. A second
   * call returns the same promise.
   */
  close(): Promise<void> {
    // A turn later: who unsubscribes may call this again, and must find it closed.
    this.closing ??= Promise.resolve().then(() => this.end());
    return this.closing;
  }

  /** For answers over HTTP and messages. `unsettled`: messages that were taken and have not been settled yet. */
  toJSON(): { readonly type: string; readonly acknowledge: Acknowledge; readonly unsettled: number } {
    return { type: this.type, acknowledge: this.acknowledge, unsettled: this.unsettled.size };
  }

  /** For people at a console. */
  [INSPECT](_depth: number, options: unknown, inspect: Inspect): string {
    return inspection(this, options, inspect);
  }

  private get acknowledge(): Acknowledge {
    return this.options.acknowledge ?? (this.door.isDurable ? 'stored' : 'settled');
  }

  /** Whether nobody waits for the items of a message once they are stored, as they can't be lost. */
  private get handsOver(): boolean {
    return this.door.isDurable && this.acknowledge === 'stored';
  }

  private async callSubscribe(subscribe: Subscribe<Message>): Promise<Unsubscribe> {
    if (typeof subscribe !== 'function') this.refuse('subscribe: expected a function', subscribe);
    const unsubscribe = await subscribe((message) => this.deliver(message));
    if (typeof unsubscribe !== 'function')
      this.refuse('subscribe: expected it to return a function', unsubscribe);
    return unsubscribe;
  }

  private refuse(expected: string, got: unknown): never {
    throw new InvalidOptionsError(`Subscription to ${describe(this.type)}`, [
      `${expected}, got ${describe(got)}`,
    ]);
  }

  private async end(): Promise<void> {
    try {
      const unsubscribe = await this.opened;
      await unsubscribe?.();
    } finally {
      this.retries = new GatheredRetries(this.door);
      await this.door.retryFailedItemsOf(this.jobs);
      await Promise.allSettled(this.unsettled);
      this.onClosed();
    }
  }

  private async take(message: Message, toItems: ToItems<Message, Payload> | undefined): Promise<Taken> {
    this.refuseWhenClosed();
    let payloads: readonly Payload[];
    try {
      payloads = await itemsOf(message, toItems);
    } catch (error) {
      return { kind: 'refused', receipt: await this.reject(message, toError(error)) };
    }
    const job = await this.door.distributeWork(this.type, this.sourceOf(payloads));
    return { kind: 'queued', job, items: payloads.length };
  }

  /** What is handed over item by item shares its way to the store with others. */
  private sourceOf(payloads: readonly Payload[]): Payload | readonly Payload[] {
    const [payload] = payloads;
    return this.handsOver && payloads.length === 1 && isOneItem(payload) ? payload! : payloads;
  }

  private refuseWhenClosed(): void {
    if (this.closing === undefined) return;
    throw this.door.isClosed
      ? new ProcessClosedError(`Message for ${this.type}`)
      : new SubscriptionClosedError(this.type);
  }

  private async reject(message: Message, error: Error): Promise<MessageReceipt> {
    const job = await this.door.rejectItem(this.type, message, error);
    return { jobId: job.id, items: 1, done: 0, failed: 1, cancelled: 0, rejected: errorText(error) };
  }

  private async settle(taking: Promise<Taken>): Promise<MessageReceipt> {
    const taken = await taking;
    if (taken.kind === 'refused') return taken.receipt;
    const { job, items } = taken;
    if (this.handsOver) return receiptOfStored(job, items);
    this.jobs.add(job);
    // A part of it may have failed before all of it was in the queue.
    this.retries?.add(job);
    const { done, failed, handedBack } = await job.completed;
    this.jobs.delete(job);
    if (handedBack > 0) throw new ProcessClosedError(`Message for ${this.type}`);
    // Unlike what is handed back, it is not to come again: a sender that kept the message would undo the cancel. So the
    // message counts as taken, and the receipt says what it came to.
    return { jobId: job.id, items, done, failed, cancelled: items - done - failed, rejected: undefined };
  }
}

async function stored(taking: Promise<Taken>, settled: Promise<MessageReceipt>): Promise<MessageReceipt> {
  const taken = await taking;
  if (taken.kind === 'refused') return taken.receipt;
  const { job, items } = taken;
  // Not all of it need be in the queue, and what is will not be worked on: that is all over, or about to be.
  if (job.isCancelled) return settled;
  return receiptOfStored(job, items);
}

function receiptOfStored({ id }: Job, items: number): MessageReceipt {
  return { jobId: id, items, done: undefined, failed: undefined, cancelled: undefined, rejected: undefined };
}

/** Whether `distributeWork` takes it for one item: what can be iterated would be several. */
function isOneItem(payload: unknown): boolean {
  if (typeof payload !== 'object' || payload === null) return true;
  return !(Symbol.iterator in payload) && !(Symbol.asyncIterator in payload) && !isThenable(payload);
}

async function itemsOf<Message, Payload>(
  message: Message,
  toItems: ToItems<Message, Payload> | undefined,
): Promise<readonly Payload[]> {
  if (toItems === undefined) return [message as unknown as Payload];
  const items = await toItems(message);
  if (items === undefined) throw new NoItemsError();
  // A copy: an array of which an item can't be read is refused before any of it is in the queue.
  return Array.isArray(items) ? [...(items as readonly Payload[])] : [items as Payload];
}
