import type { DiscoveryService } from '@nestjs/core';
import { InvalidOptionsError } from '../core/errors.js';
import { className } from './class-name.js';

/** @throws InvalidOptionsError when a class that `isDecorated` stands among the controllers, where nobody would look for it */
export function refuseControllers(
  discovery: DiscoveryService,
  decorator: string,
  isDecorated: (target: object) => boolean,
): void {
  const found = discovery.getControllers().find(({ metatype }) => metatype !== null && isDecorated(metatype));
  if (found === undefined) return;
  throw new InvalidOptionsError(`${decorator} on ${className(found.metatype)}`, [
    'expected the class among the providers of a module, got it among the controllers',
  ]);
}
