import { applyDecorators, Injectable, SetMetadata } from '@nestjs/common';
import { describe } from '../core/describe.js';
import { refuseProblems, text, type Rules } from '../core/option-rules.js';
import { commonCursorRules, type CursorJobDefinition } from '../feeds/cursors/cursor-definition.js';
import { className } from './class-name.js';

const CURSOR_JOB_METADATA = 'nestjs-background-worker:cursor-job';

/** When and how a cursor job runs. */
export interface CursorJobSettings extends Pick<CursorJobDefinition, 'pageSize' | 'callTimeoutMs'> {
  /**
   * When to run, as a cron expression with or without seconds. Needs `ScheduleModule.forRoot()` in the application.
   * Default: only when asked to.
   */
  readonly cron?: string;
  /** Time zone of `cron`, such as `Europe/Berlin`. Default: that of the process. */
  readonly timeZone?: string;
}

export interface CursorJobOptions extends CursorJobSettings {
  /** Name of the job, and of its checkpoint. */
  readonly name: string;
  /** The worker type that the items go to. */
  readonly worker: string;
}

export const cursorJobSettingRules: Rules<CursorJobSettings> = {
  cron: text,
  timeZone: text,
  pageSize: commonCursorRules.pageSize,
  callTimeoutMs: commonCursorRules.callTimeoutMs,
};

/**
 * Makes a class that implements `CursorSource` a cursor job. List the class among the providers of any module.
 *
 * @throws InvalidOptionsError when there are no options; the options themselves are checked when the application starts
 */
export function CursorJob(options: CursorJobOptions): ClassDecorator {
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
