import { Controller, Injectable } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { InvalidOptionsError } from '../core/errors.js';
import { JobProcess } from '../job-process.js';
import { messageJobMetadata, type MessageJobMetadata } from './message-job.decorator.js';

type Provider = ReturnType<DiscoveryService['getProviders']>[number];
type Method = (...args: unknown[]) => unknown;

/** Stands for a listener among the controllers; it has no routes. */
class MessageListener {}
Controller()(MessageListener);

/**
 * Finds the methods that `@MessageJob` decorates and has Nest listen for their messages.
 *
 * Nest looks for message handlers among controllers only. So a listener is put among the controllers of the provider's
 * module: an object that inherits from the provider's class, with all that its decorators say, and has the decorated
 * methods replaced by ones that hand what they return to the worker. Thus guards, pipes, interceptors and filters
 * work as on any handler. It has to be there before Nest sets up the microservices, which is after the providers have
 * been made.
 */
@Injectable()
export class MessageExplorer {
  private readonly scanner = new MetadataScanner();

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly jobs: JobProcess,
  ) {}

  explore(): void {
    for (const provider of this.discovery.getProviders()) this.addListener(provider);
    for (const controller of this.discovery.getControllers()) this.refuseController(controller);
  }

  private addListener(provider: Provider): void {
    const { metatype, host } = provider;
    const jobs = this.messageJobs(provider);
    if (jobs.length === 0 || host === undefined || metatype === null) return;
    if (!provider.isDependencyTreeStatic()) {
      throw new InvalidOptionsError(`@MessageJob on ${metatype.name}`, [
        'scope: expected a provider that lives as long as the application, got a request-scoped or transient one',
      ]);
    }
    const listener = Object.create(metatype.prototype as object) as Record<string, unknown>;
    for (const { name, metadata } of jobs) listener[name] = this.listen(provider, name, metadata);
    const token = Symbol(`message listener of ${metatype.name}`);
    const wrapper = new InstanceWrapper({
      token,
      name: metatype.name,
      metatype: MessageListener,
      instance: listener,
      isResolved: true,
      host,
    });
    host.controllers.set(token, wrapper);
  }

  private listen(provider: Provider, name: string, { options }: MessageJobMetadata): Method {
    const subscription = this.jobs.openSubscription<unknown, unknown>(options.worker, {
      acknowledge: options.acknowledge,
    });
    const decorated = (provider.metatype!.prototype as Record<string, Method>)[name]!;
    const handle = (...args: unknown[]) =>
      subscription.deliver(args[0], () => decorated.apply(provider.instance, args));
    // What decorators say of the method is found by way of its prototype chain.
    return Object.setPrototypeOf(handle, decorated) as Method;
  }

  private messageJobs({ metatype }: Provider): { name: string; metadata: MessageJobMetadata }[] {
    const prototype = metatype?.prototype as Record<string, object> | undefined;
    if (prototype === undefined) return [];
    return this.scanner.getAllMethodNames(prototype).flatMap((name) => {
      const metadata = messageJobMetadata(prototype[name]!);
      return metadata === undefined ? [] : [{ name, metadata }];
    });
  }

  private refuseController(controller: Provider): void {
    const jobs = this.messageJobs(controller);
    if (jobs.length === 0) return;
    throw new InvalidOptionsError(`@MessageJob on ${controller.metatype!.name}.${jobs[0]!.name}`, [
      'expected its class among the providers of a module, got it among the controllers',
    ]);
  }
}
