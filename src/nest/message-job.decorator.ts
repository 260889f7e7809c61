import { applyDecorators, SetMetadata } from '@nestjs/common';
import { EventPattern, Transport } from '@nestjs/microservices';
import { describe } from '../core/describe.js';
import { findProblems, oneOf, refuseProblems, type Rule, type Rules } from '../core/option-rules.js';
import { messageRules, type Acknowledge } from '../feeds/messages/message-options.js';
import { bareDecoratorError } from './bare-decorator.js';
import { className, ownerClass } from './class-name.js';

const MESSAGE_JOB_METADATA = 'nestjs-background-worker:message-job';

export interface MessageJobOptions {
  /** The worker type that the items go to. */
  readonly worker: string;
  /** When the message counts as taken. Default `settled`: when each of its items has ended. */
  readonly acknowledge?: Acknowledge;
  /** Only messages of this transport. Default: of every transport that the application listens on. */
  readonly transport?: Transport | symbol;
}

/** What `@MessageJob` says of a method. */
export interface MessageJobMetadata {
  readonly pattern: string | object;
  readonly options: MessageJobOptions;
}

const EXPECTED =
  "a pattern and an object of options, as in @MessageJob('user.registered', { worker: 'mail' })";

/**
 * Feeds messages to a worker type: events (`client.emit`) and requests (`client.send`, answered with a
 * `MessageReceipt`), over any Nest transport. Decorates a method of a provider that is given the message and returns
 * the item, or an array of items, for the worker; what it throws makes the message a dead letter. Guards, pipes,
 * interceptors and filters on the method or its class work as on a message handler of Nest.
 *
 * @param pattern as in Nest's `@EventPattern`
 * @throws InvalidOptionsError when there is no pattern, or there are no options, or it is not called; the options themselves
 *   are checked when the application starts
 */
export function MessageJob(pattern: string | object, options: MessageJobOptions): MethodDecorator {
  refuseBare(pattern, options);
  const metadata: MessageJobMetadata = { pattern, options };
  return applyDecorators(
    refuseNone(metadata),
    SetMetadata(MESSAGE_JOB_METADATA, metadata),
    EventPattern<string | object>(pattern, options?.transport),
  );
}

function refuseBare(pattern: unknown, options: unknown): void {
  const isMember = typeof options === 'string' || typeof options === 'symbol';
  const isTarget =
    typeof pattern === 'function' || (typeof pattern === 'object' && pattern !== null && isMember);
  if (!isTarget) return;
  throw bareDecoratorError('@MessageJob', EXPECTED, pattern, isMember ? options : undefined);
}

/** Without a pattern, Nest would listen for messages that nobody sends. */
function refuseNone({ pattern, options }: { pattern: unknown; options: unknown }): MethodDecorator {
  return (target, method) => {
    const problems: string[] = [];
    if (pattern === '' || (typeof pattern !== 'string' && (typeof pattern !== 'object' || pattern === null)))
      problems.push(`expected a pattern, a text that is not empty or an object, got ${describe(pattern)}`);
    if (typeof options !== 'object' || options === null)
      problems.push(`expected an object of options with worker, got ${describe(options)}`);
    refuseProblems(`@MessageJob on ${className(ownerClass(target))}.${String(method)}`, problems);
  };
}

/** What `@MessageJob` says of `method`; undefined when it is not decorated. */
export function messageJobMetadata(method: object): MessageJobMetadata | undefined {
  return Reflect.getOwnMetadata(MESSAGE_JOB_METADATA, method) as MessageJobMetadata | undefined;
}

/** Nest's own are numbers; those of other servers may be symbols. */
const transport: Rule = (value) =>
  typeof value === 'symbol' || (typeof value === 'number' && Transport[value] !== undefined)
    ? undefined
    : 'expected a Transport of @nestjs/microservices, or the symbol of another one';

const rules = (workerTypes: readonly string[]): Rules<MessageJobOptions> => ({
  worker: oneOf('a worker type', workerTypes),
  acknowledge: messageRules.acknowledge,
  transport,
});

/** What is wrong with the options, a line each. */
export function messageJobProblems(
  { options }: MessageJobMetadata,
  workerTypes: readonly string[],
): string[] {
  const problems = findProblems(options, rules(workerTypes));
  return problems.length === 0 && options.worker === undefined
    ? ['worker: expected a worker type, got undefined']
    : problems;
}
