import { func, oneOf, refuseProblems, findProblems, type Rules } from '../../core/option-rules.js';

/**
 * When a message counts as taken: as soon as its items are in the queue (`stored`), or when each of them has ended
 * (`settled`). With the memory engine, only the latter survives a kill, as the sender still has the message then.
 */
export type Acknowledge = 'stored' | 'settled';

/** How messages are taken. */
export interface MessageOptions<Message, Payload> {
  /** Default `settled` with the memory engine, `stored` with a durable one. */
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

const acknowledgements: readonly Acknowledge[] = ['stored', 'settled'];

/** The rules of a subscription's options, by name. */
export const messageRules: Rules<MessageOptions<unknown, unknown>> = {
  acknowledge: oneOf('when to acknowledge', acknowledgements),
  toItems: func,
};

/** @throws InvalidOptionsError that names every wrong option: a misspelt one would promise a sender too much or too little */
export function checkMessageOptions(type: string, options: object): void {
  refuseProblems(`Subscription to ${JSON.stringify(type)}`, findProblems(options, messageRules));
}
