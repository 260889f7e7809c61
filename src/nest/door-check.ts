import { Injectable } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { oneOf, refuseProblems } from '../core/option-rules.js';
import { JobProcess } from '../job-process.js';
import { providerName } from './class-name.js';
import type { Provider } from './decorated-class.js';
import { WorkerTypeDoor } from './worker-type-door.js';
import { getWorkerTypeToken, typesInjectedInto, workerTypeOfToken } from './worker-type.decorator.js';

/**
 * Finds misspelt worker types of `@InjectWorkerType`. There is a door to each type that any class in the process asks
 * for; what counts is which of them this application injects.
 */
@Injectable()
export class DoorCheck {
  constructor(
    private readonly modules: ModulesContainer,
    private readonly jobs: JobProcess,
  ) {}

  /** @throws InvalidOptionsError that names every class with a door to an unknown type */
  refuseUnknownTypes(): void {
    const findProblem = oneOf('a worker type', this.jobs.types);
    const problems = new Set<string>();
    for (const wrapper of this.wrappers()) {
      for (const type of typesInto(wrapper)) {
        const problem = findProblem(type);
        if (problem !== undefined && !this.isReplaced(type))
          problems.add(`${providerName(wrapper)}: ${problem}, got ${JSON.stringify(type)}`);
      }
    }
    refuseProblems('@InjectWorkerType', [...problems]);
  }

  private wrappers(): Provider[] {
    return [...this.modules.values()].flatMap(({ providers, controllers, injectables, middlewares }) => [
      ...providers.values(),
      ...controllers.values(),
      ...injectables.values(),
      ...middlewares.values(),
    ]);
  }

  /** Whether something else stands in for the door, as in tests. */
  private isReplaced(type: string): boolean {
    const token = getWorkerTypeToken(type);
    return [...this.modules.values()].some(({ providers }) => {
      const provider = providers.get(token);
      return provider !== undefined && !(provider.instance instanceof WorkerTypeDoor);
    });
  }
}

/** The types of the doors that a class or a factory is given. */
function typesInto({ metatype, inject, isNotMetatype }: Provider): readonly string[] {
  if (!isNotMetatype) return typesInjectedInto(metatype as object);
  return (inject ?? [])
    .map((dependency: unknown) => (dependency as { token?: unknown } | undefined)?.token ?? dependency)
    .map(workerTypeOfToken)
    .filter((type) => type !== undefined);
}
