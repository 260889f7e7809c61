import { describe } from '../core/describe.js';
import { boolean, findProblems, refuseProblems } from '../core/option-rules.js';

/** Refuses what `forRoot` can't take apart; the options are checked when the application starts. @throws InvalidOptionsError */
export function checkArgument(options: unknown): void {
  refuseUnlessObject('forRoot', 'an object of options', options);
  refuseProblems('WorkerModule.forRoot', findGlobalProblems(options));
}

/** Refuses what `forRootAsync` can't get any options from. @throws InvalidOptionsError */
export function checkAsyncArgument(options: unknown): void {
  const expected = 'an object with useFactory, useClass or useExisting';
  refuseUnlessObject('forRootAsync', expected, options);
  const { useFactory, useClass, useExisting } = options as Record<string, unknown>;
  const problems = findGlobalProblems(options);
  if (useFactory === undefined && useClass === undefined && useExisting === undefined)
    problems.push(`expected ${expected}, got ${describe(options)} without any of them`);
  if (useFactory !== undefined && typeof useFactory !== 'function')
    problems.push(`useFactory: expected a function, got ${describe(useFactory)}`);
  refuseProblems('WorkerModule.forRootAsync', problems);
}

function refuseUnlessObject(method: string, expected: string, options: unknown): void {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return;
  refuseProblems(`WorkerModule.${method}`, [`expected ${expected}, got ${describe(options)}`]);
}

function findGlobalProblems(options: unknown): string[] {
  const { isGlobal } = options as { isGlobal?: unknown };
  return findProblems({ isGlobal }, { isGlobal: boolean });
}
