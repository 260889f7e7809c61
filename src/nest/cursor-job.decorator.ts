import { applyDecorators, Injectable, SetMetadata } from '@nestjs/common';
import { describe } from '../core/describe.js';
import { refuseProblems, text, type Rule, type Rules } from '../core/option-rules.js';
import { commonCursorRules, type CursorJobDefinition } from '../feeds/cursors/cursor-definition.js';
import type { CursorSource } from '../feeds/cursors/cursor-source.js';
import { bareDecoratorError } from './bare-decorator.js';
import { className } from './class-name.js';

const CURSOR_JOB_METADATA = 'nestjs-background-worker:cursor-job';

/** When and how a cursor job runs. */
export interface CursorJobSettings extends Pick<CursorJobDefinition, 'pageSize' | 'callTimeoutMs'> {
  /**
   * When to run, as a cron expression with or without seconds. Needs `ScheduleModule.forRoot()` in the application.
   * False: only when asked to; among the options of `WorkerModule`, it switches off the cron that `@CursorJob` names, as
   * for tests, or for all replicas but one. Default: that of `@CursorJob`; without one, only when asked to.
   */
  readonly cron?: string | false;
  /** Time zone of `cron`, such as `Europe/Berlin`. Default: that of the process. Refused where there is no cron. */
  readonly timeZone?: string;
}

export interface CursorJobOptions extends CursorJobSettings {
  /** Name of the job, and of its checkpoint. */
  readonly name: string;
  /** The worker type that the items go to. */
  readonly worker: string;
}

const cron: Rule = (value) =>
  value === false || text(value) === undefined ? undefined : 'expected a cron expression, or false for none';

export const cursorJobSettingRules: Rules<CursorJobSettings> = {
  cron,
  timeZone: text,
  pageSize: commonCursorRules.pageSize,
  callTimeoutMs: commonCursorRules.callTimeoutMs,
};

const EXPECTED = "an object of options, as in @CursorJob({ name: 'digest', worker: 'mail' })";

/**
 * What a class has to be besides itself, so that it compiles: nothing when it is a `CursorSource`. What is no class passes:
 * Nest's `applyDecorators` takes decorators of any class or of any member, and this one is of a member by its type.
 */
type OfSource<Target> = Target extends abstract new (...parameters: never[]) => infer Instance
  ? Instance extends CursorSource
    ? unknown
    : 'expected a class that implements CursorSource'
  : unknown;

/**
 * Makes a class that implements `CursorSource` a cursor job. List the class among the providers of any module.
 *
 * @throws InvalidOptionsError when there are no options; the options themselves are checked when the application starts
 */
export function CursorJob(
  options: CursorJobOptions,
): <Target extends object>(target: Target & OfSource<Target>) => void {
  if (typeof options === 'function') throw bareDecoratorError('@CursorJob', EXPECTED, options);
  return applyDecorators(refuseNone(options), SetMetadata(CURSOR_JOB_METADATA, options), Injectable());
}

/** Without options, nothing would tell a decorated class from any other. */
function refuseNone(options: unknown): ClassDecorator {
  return (target) => {
    if (typeof options === 'object' && options !== null) return;
    refuseProblems(`@CursorJob on ${className(target)}`, [
      `expected an object of options with name and worker, got ${describe(options)}`,
    ]);
  };
}

/** What `@CursorJob` says of `target`; undefined when it is not decorated itself. */
export function cursorJobMetadata(target: object): CursorJobOptions | undefined {
  return Reflect.getOwnMetadata(CURSOR_JOB_METADATA, target) as CursorJobOptions | undefined;
}
