import { describe } from '../core/describe.js';
import type { Provider } from './decorated-class.js';

/** The name of a class in a message; a class may have none. */
export function className(target: unknown): string {
  const name: unknown = (target as { readonly name?: unknown } | null | undefined)?.name;
  return typeof name === 'string' && name !== '' ? name : 'a class without a name';
}

/** The name of a provider in a message. Nest names one whose class has no name by the class, as a text its whole source. */
export function providerName({ name }: Pick<Provider, 'name'>): string {
  if (typeof name === 'symbol') return name.toString();
  return className(typeof name === 'function' ? name : { name });
}

/** The class that a decorated parameter, property or method belongs to; `target` is the class, or its prototype. */
export function ownerClass(target: object): object {
  return typeof target === 'function' ? target : target.constructor;
}

/** What a decorator was given that is written without its call, in a message: of a prototype, its class. */
export function describeTarget(target: object): string {
  return describe(Object.hasOwn(target, 'constructor') ? target.constructor : target);
}
