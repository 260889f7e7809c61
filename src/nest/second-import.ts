import type { Type } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { InvalidOptionsError } from '../core/errors.js';

/**
 * Two of the module in one application would each find all workers, cursor jobs and message handlers, and do
 * everything twice. One dynamic module that is imported in several places is one module.
 *
 * @throws InvalidOptionsError
 */
export function refuseSecondImport(modules: ModulesContainer, module: Type<unknown>): void {
  const count = [...modules.values()].filter(
    ({ metatype }) => metatype === module || metatype.prototype instanceof module,
  ).length;
  if (count <= 1) return;
  throw new InvalidOptionsError(module.name, [
    `expected one in an application, got ${count}; import it once, in your root module, as all other modules can inject ` +
      `what it provides (with isGlobal: false, keep what forRoot() returns in a constant, and import that)`,
  ]);
}
