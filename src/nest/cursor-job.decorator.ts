import { applyDecorators, Injectable, SetMetadata } from '@nestjs/common';
import { duration, text, wholeNumber, type Rules } from '../core/option-rules.js';

const CURSOR_JOB_METADATA = 'nestjs-background-worker:cursor-job';

/** When and how a cursor job runs. */
export interface CursorJobSettings {
  /**
   * When to run, as a cron expression with or without seconds. Needs `ScheduleModule.forRoot()` in the application.
   * Default: only when asked to.
   */
  readonly cron?: string;
  /** Time zone of `cron`, such as `Europe/Berlin`. Default: that of the process. */
  readonly timeZone?: string;
  /** Items of a page at the most, 1 or more. Default 500. */
  readonly pageSize?: number;
  /** Milliseconds that `fetchPage` may take for a page; then the run fails. 0: any time. Default 60,000. */
  readonly fetchTimeoutMs?: number;
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
  pageSize: wholeNumber(1),
  fetchTimeoutMs: duration,
};

/** Makes a class that implements `CursorSource` a cursor job. List the class among the providers of any module. */
export function CursorJob(options: CursorJobOptions): ClassDecorator {
  return applyDecorators(SetMetadata(CURSOR_JOB_METADATA, options), Injectable());
}

/** What `@CursorJob` says of `target`; undefined when it is not decorated itself. */
export function cursorJobMetadata(target: object): CursorJobOptions | undefined {
  return Reflect.getOwnMetadata(CURSOR_JOB_METADATA, target) as CursorJobOptions | undefined;
}
