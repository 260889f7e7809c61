import type { Type } from '@nestjs/common';
import type { DiscoveryService } from '@nestjs/core';

export type Provider = ReturnType<DiscoveryService['getProviders']>[number];

/**
 * The class of a provider that a decorator of ours speaks of: its token, which stays the same when a test overrides the
 * provider; else the class behind the token. Undefined when neither is decorated.
 */
export function decoratedClass(
  { token, metatype, isNotMetatype }: Provider,
  isDecorated: (target: object) => boolean,
): Type<object> | undefined {
  if (typeof token === 'function' && isDecorated(token)) return token as Type<object>;
  // A factory is a function as well, but no class.
  if (isNotMetatype || !isDecorated(metatype!)) return undefined;
  return metatype as Type<object>;
}
