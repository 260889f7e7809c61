import type { Type } from '@nestjs/common';
import type { DiscoveryService } from '@nestjs/core';
import { InvalidOptionsError } from '../core/errors.js';
import { className } from './class-name.js';
import { decoratedClass, type Provider } from './decorated-class.js';

/** A provider of a class that a decorator of ours stands on. */
export interface DecoratedProvider<Metadata> {
  readonly provider: Provider;
  readonly decorated: Type<object>;
  /** What the decorator says of the class. */
  readonly metadata: Metadata;
}

/**
 * Finds the providers of the classes that a decorator stands on.
 *
 * @param decorator its name, as in `@WorkerType`
 * @throws InvalidOptionsError when one of the classes stands among the controllers, where nobody would look for it
 */
export function findDecorated<Metadata>(
  discovery: DiscoveryService,
  decorator: string,
  metadataOf: (target: object) => Metadata | undefined,
): DecoratedProvider<Metadata>[] {
  const isDecorated = (target: object) => metadataOf(target) !== undefined;
  refuseControllers(discovery, decorator, isDecorated);
  const providers = providersByClass(discovery, (provider) => decoratedClass(provider, isDecorated));
  return [...providers].map(([decorated, provider]) => ({
    provider,
    decorated,
    metadata: metadataOf(decorated)!,
  }));
}

/** The first provider of each class that `classOf` sees: a class that several modules provide counts once. */
export function providersByClass(
  discovery: DiscoveryService,
  classOf: (provider: Provider) => Type<object> | undefined,
): Map<Type<object>, Provider> {
  const providers = new Map<Type<object>, Provider>();
  for (const provider of discovery.getProviders()) {
    const found = classOf(provider);
    if (found !== undefined && !providers.has(found)) providers.set(found, provider);
  }
  return providers;
}

function refuseControllers(
  discovery: DiscoveryService,
  decorator: string,
  isDecorated: (target: object) => boolean,
): void {
  const found = discovery.getControllers().find(({ metatype }) => metatype !== null && isDecorated(metatype));
  if (found === undefined) return;
  throw controllerError(`${decorator} on ${className(found.metatype)}`);
}

/** For what is looked for among the providers only, and would never be found where it stands. */
export function controllerError(subject: string): InvalidOptionsError {
  return new InvalidOptionsError(subject, [
    'expected the class among the providers of a module, got it among the controllers',
  ]);
}

/** What is wrong with a provider that is called as long as the application lives, but does not live as long; none when nothing is. */
export function scopeProblems(provider: Provider): string[] {
  if (provider.isDependencyTreeStatic() && !provider.isTransient) return [];
  return [
    'scope: expected a provider that lives as long as the application, got a request-scoped or transient one',
  ];
}
