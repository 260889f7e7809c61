import { Controller, Injectable, type Type } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { BaseRpcContext, type Transport } from '@nestjs/microservices';
import { refuseProblems } from '../core/option-rules.js';
import { JobProcess } from '../job-process.js';
import { className } from './class-name.js';
import type { Provider } from './decorated-class.js';
import { controllerError, providersByClass, scopeProblems } from './explored-providers.js';
import { messageJobMetadata, messageJobProblems, type MessageJobMetadata } from './message-job.decorator.js';

type Method = (...args: unknown[]) => unknown;
type Methods = Record<string, Method>;

/** A method that `@MessageJob` decorates. */
interface DecoratedMethod {
  readonly name: string;
  readonly metadata: MessageJobMetadata;
}

/** A method whose messages are listened for. */
export interface ListenedMethod {
  /** As `Class.method`. */
  readonly name: string;
  /** Undefined: of every transport. */
  readonly transport: Transport | symbol | undefined;
}

/** Stands for a listener among the controllers. Of no path, so that Nest sees no routes, and logs none. */
class MessageListener {}
Controller([])(MessageListener);

/**
 * Finds the methods that `@MessageJob` decorates and has Nest listen for their messages.
 *
 * Nest looks for message handlers among controllers only. So a listener is put among the controllers of the provider's
 * module: an object that has the decorated methods of the provider's class, with all that their decorators and those of
 * the class say, and hands what they return to the worker. Thus guards, pipes, interceptors and filters work as on any
 * handler. It has to be there before Nest sets up the microservices, which is after the providers have been made.
 */
@Injectable()
export class MessageExplorer {
  readonly listeners: ListenedMethod[] = [];
  private readonly scanner = new MetadataScanner();

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly jobs: JobProcess,
  ) {}

  explore(): void {
    for (const [listened, provider] of providersByClass(this.discovery, listenedClass)) {
      this.addListener(provider, listened);
    }
    for (const controller of this.discovery.getControllers()) this.refuseController(controller);
  }

  private addListener(provider: Provider, listened: Type<object>): void {
    const { host } = provider;
    const methods = this.decoratedMethods(listened).filter(({ name }) => mayHave(provider, name));
    if (methods.length === 0 || host === undefined) return;
    this.refuseUnfit(provider, listened, methods);
    for (const { name, metadata } of methods) {
      const { transport } = metadata.options;
      this.listeners.push({ name: `${className(listened)}.${name}`, transport });
    }
    const handlers = methods.map(({ name, metadata }) => [
      name,
      this.listen(provider, listened, name, metadata),
    ]);
    const token = Symbol(`message listener of ${listened.name}`);
    const wrapper = new InstanceWrapper({
      token,
      name: listened.name,
      metatype: MessageListener,
      instance: this.makeListener(listened, Object.fromEntries(handlers) as Methods),
      isResolved: true,
      host,
    });
    // Nest 11 keeps what it knows of a handler by this id, or else by the name of its class.
    host.assignControllerUniqueId(listened);
    host.controllers.set(token, wrapper);
  }

  /**
   * Inherits from the class what decorators say, and hides all methods but the decorated ones: Nest would call its
   * lifecycle hooks on the listener as well, and listen for patterns that it does not heed on a provider.
   */
  private makeListener(listened: Type<object>, handlers: Methods): object {
    const prototype = Object.create(listened.prototype as object) as Record<string, unknown>;
    for (const name of this.scanner.getAllMethodNames(listened.prototype as object)) {
      prototype[name] = handlers[name];
    }
    return Object.create(prototype) as object;
  }

  private listen(
    provider: Provider,
    listened: Type<object>,
    name: string,
    metadata: MessageJobMetadata,
  ): Method {
    const { worker, acknowledge } = metadata.options;
    const subscription = this.jobs.openSubscription<unknown, unknown>(worker, { acknowledge });
    const handle = (...args: unknown[]) =>
      subscription.deliver(messageOf(args), () => (provider.instance as Methods)[name]!(...args));
    Object.defineProperty(handle, 'name', { value: name });
    // What decorators say of the method is found by way of its prototype chain.
    return Object.setPrototypeOf(handle, (listened.prototype as Methods)[name]!) as Method;
  }

  private decoratedMethods(listened: Type<object>): DecoratedMethod[] {
    const prototype = listened.prototype as Methods | undefined;
    return this.scanner.getAllMethodNames(prototype ?? null).flatMap((name) => {
      const metadata = messageJobMetadata(prototype![name]!);
      return metadata === undefined ? [] : [{ name, metadata }];
    });
  }

  private refuseUnfit(provider: Provider, listened: Type<object>, methods: readonly DecoratedMethod[]): void {
    for (const { name, metadata } of methods) {
      const problems = messageJobProblems(metadata, this.jobs.types);
      refuseProblems(`@MessageJob on ${className(listened)}.${name}`, problems);
    }
    refuseProblems(`@MessageJob on ${className(listened)}`, scopeProblems(provider));
  }

  private refuseController({ metatype }: Provider): void {
    const [method] = this.decoratedMethods(metatype as Type<object>);
    if (method === undefined || metatype === MessageListener) return;
    throw controllerError(`@MessageJob on ${className(metatype)}.${method.name}`);
  }
}

/** The class of which decorators say what to listen for: that of the provider, or the one that a value or a factory stands for. */
function listenedClass({ token, metatype, isNotMetatype, isAlias }: Provider): Type<object> | undefined {
  if (isAlias) return undefined;
  if (!isNotMetatype) return metatype as Type<object>;
  return typeof token === 'function' ? (token as Type<object>) : undefined;
}

/** Whether the provider can have the method; a value that stands in for its class, as in tests, may lack it. */
function mayHave({ metatype, instance }: Provider, name: string): boolean {
  return metatype !== null || typeof (instance as Partial<Methods> | null)?.[name] === 'function';
}

/** The message among the arguments of a handler, whose order is up to its parameters' decorators. */
function messageOf(args: readonly unknown[]): unknown {
  return args.find((arg) => !(arg instanceof BaseRpcContext));
}
