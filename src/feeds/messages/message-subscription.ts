import type { Job } from '../../core/job.js';
import { ProcessClosedError, UnrecoverableError } from '../../core/errors.js';
import { toError } from '../../core/to-error.js';
import type { FeedDoor } from '../feed-door.js';

/**
 * When a message counts as taken: as soon as its items are in the queue, or when each of them has ended. On the memory
 * engine only the latter survives a kill, as the sender still has the message.
 */
export type Acknowledge = 'stored' | 'settled';

/** What a sender is told of its message. */
export interface MessageReceipt {
  readonly jobId: string;
  /** Items that the message became. */
  readonly items: number;
  /** Items that completed; undefined when the receipt was given before they ended. */
  readonly done: number | undefined;
  /** Items that became dead letters; undefined when the receipt was given before they ended. */
  readonly failed: number | undefined;
  /** Why the message was refused; undefined when it was not. It is kept as a dead letter then. */
  readonly rejected: string | undefined;
}

/** Hands a message over. Resolves when it is taken; rejects when it must be kept by who sent it. */
export type Deliver<Message> = (message: Message) => Promise<MessageReceipt>;

/** Lets messages come, by calling `deliver` for each. @returns what ends this */
export type Subscribe<Message> = (deliver: Deliver<Message>) => Unsubscribe | Promise<Unsubscribe>;
export type Unsubscribe = () => void | Promise<void>;

export interface MessageOptions<Message, Payload> {
  /** Default `settled`. */
  readonly acknowledge?: Acknowledge;
  /**
   * Checks a message, and makes the item of it, or several (an array; `[]` for none). A message that it throws for
   * becomes a dead letter with that reason. Default: the message is the item.
   */
  readonly toItems?: ToItems<Message, Payload>;
}

/** Makes the items of a message. */
export type ToItems<Message, Payload> = (
  message: Message,
) => Payload | readonly Payload[] | Promise<Payload | readonly Payload[]>;

/** Thrown when `toItems` returns nothing, so that a forgotten `return` does not make messages vanish. */
export class NoItemsError extends UnrecoverableError {
  override readonly code = 'NO_ITEMS';

  constructor() {
    super('toItems returned undefined; expected the item, or an array of items ([] to ignore the message)');
  }
}

/** A stream of messages whose items go to one worker type, as long as it is open. */
export class MessageSubscription<Message, Payload> {
  private opened: Promise<Unsubscribe | undefined> = Promise.resolve(undefined);
  private closing: Promise<void> | undefined = undefined;
  private readonly underWay = new Set<Promise<unknown>>();

  constructor(
    private readonly door: FeedDoor,
    readonly type: string,
    private readonly options: MessageOptions<Message, Payload> = {},
    private readonly onClosed: () => void = () => undefined,
  ) {}

  /** Takes one message in. @throws ProcessClosedError when the subscription is closed: the sender keeps the message */
  deliver(
    message: Message,
    toItems: ToItems<Message, Payload> | undefined = this.options.toItems,
  ): Promise<MessageReceipt> {
    const receipt = this.take(message, toItems);
    this.underWay.add(receipt);
    const forget = () => void this.underWay.delete(receipt);
    receipt.then(forget, forget);
    return receipt;
  }

  async open(subscribe: Subscribe<Message>): Promise<void> {
    const opening = (async () => subscribe((message) => this.deliver(message)))();
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
   * Takes no more messages, runs what awaits a retry, and resolves when every message taken before is settled; rejects
   * then if unsubscribing failed. A second call returns the same promise.
   */
  close(): Promise<void> {
    // A turn later: who unsubscribes may call this again, and must find it closed.
    this.closing ??= Promise.resolve().then(() => this.end());
    return this.closing;
  }

  private async end(): Promise<void> {
    try {
      const unsubscribe = await this.opened;
      await unsubscribe?.();
    } finally {
      this.door.retryFailedItems(this.type);
      await Promise.allSettled(this.underWay);
      this.onClosed();
    }
  }

  private async take(
    message: Message,
    toItems: ToItems<Message, Payload> | undefined,
  ): Promise<MessageReceipt> {
    if (this.closing !== undefined) throw new ProcessClosedError(`Message for ${this.type}`);
    let payloads: readonly Payload[];
    try {
      payloads = await itemsOf(message, toItems);
    } catch (error) {
      return this.reject(message, toError(error));
    }
    const job = await this.door.distributeWork(this.type, payloads);
    return (this.options.acknowledge ?? 'settled') === 'settled' ? this.settled(job) : stored(job);
  }

  private reject(message: Message, error: Error): MessageReceipt {
    const job = this.door.rejectItem(this.type, message, error);
    return { jobId: job.id, items: 1, done: 0, failed: 1, rejected: error.message };
  }

  private async settled(job: Job): Promise<MessageReceipt> {
    const { total, done, failed, handedBack } = await job.completed;
    if (handedBack > 0) throw new ProcessClosedError(`Message for ${this.type}`);
    return { jobId: job.id, items: total, done, failed, rejected: undefined };
  }
}

function stored(job: Job): MessageReceipt {
  return { jobId: job.id, items: job.accepted, done: undefined, failed: undefined, rejected: undefined };
}

async function itemsOf<Message, Payload>(
  message: Message,
  toItems: ToItems<Message, Payload> | undefined,
): Promise<readonly Payload[]> {
  if (toItems === undefined) return [message as unknown as Payload];
  const items = await toItems(message);
  if (items === undefined) throw new NoItemsError();
  return Array.isArray(items) ? (items as readonly Payload[]) : [items as Payload];
}
