import type { Type } from '@nestjs/common';
import { describe } from '../core/describe.js';
import { isThenable } from '../core/is-thenable.js';
import {
  duration,
  findProblems,
  hasMethods,
  refuseProblems,
  wholeNumber,
  type Rule,
  type Rules,
} from '../core/option-rules.js';
import {
  findProcessOptionProblems,
  findTypeOptionProblems,
  processRules,
  type WorkerProcessOptionsInput,
  type WorkerTypeOptionsInput,
} from '../core/options.js';
import type { CursorCache } from '../feeds/cursors/cursor-cache.js';
import type { UploadStore } from '../feeds/uploads/upload-store.js';
import { JobProcess } from '../job-process.js';
import { cursorJobSettingRules, type CursorJobSettings } from './cursor-job.decorator.js';

/** Where uploads are kept, and how they are read. */
export interface UploadOptions {
  readonly store: UploadStore;
  /** Rows of a page of an upload at the most, 1 or more. Default 1,000. */
  readonly pageSize?: number;
  /** Milliseconds that each call of the store may take; then the run fails. 0: any time. Default 60,000. */
  readonly callTimeoutMs?: number;
}

/** Options of `WorkerModule`. Those of a worker type hold for all types that say nothing else. */
export interface WorkerModuleOptions extends Omit<WorkerProcessOptionsInput, 'autoStart'> {
  /** Options by worker type, for values that come from configuration: they win over those of `@WorkerType`. */
  readonly workers?: Readonly<Record<string, WorkerTypeOptionsInput>>;
  /** When and how cursor jobs run, by name: values that win over those of `@CursorJob`. */
  readonly cursors?: Readonly<Record<string, CursorJobSettings>>;
  /** Where the checkpoints of cursor jobs are kept. Default: in memory, gone when the process ends. */
  readonly cursorCache?: CursorCache;
  /** Where uploads are kept. Default: nowhere; `processUserUpload` rejects. */
  readonly uploads?: UploadOptions;
  /** Milliseconds between two performance reports in the log. 0: none. Default 60,000. */
  readonly reportIntervalMs?: number;
  /** The class that `JobProcess` is injected as. Default `JobProcess`. */
  readonly jobProcess?: Type<JobProcess>;
}

type OwnOptions = Omit<WorkerModuleOptions, keyof WorkerProcessOptionsInput>;

const hasCacheMethods = hasMethods('a CursorCache', ['load', 'save', 'clear', 'close']);

/** A promise of one lacks the methods as well; that it has to be awaited would be hard to guess from that. */
const cursorCacheRule: Rule = (value) =>
  isThenable(value)
    ? 'expected a CursorCache, as in await connectRedisCursorCache(url)'
    : hasCacheMethods(value);

const ownRules: Rules<OwnOptions> = {
  workers: anything,
  cursors: anything,
  cursorCache: cursorCacheRule,
  uploads: anything,
  reportIntervalMs: duration,
  jobProcess: jobProcessClass,
};

/** Whether work starts is for the module to say. */
const { autoStart: _autoStart, ...processRulesOfModule } = processRules;
const moduleRules = { ...processRulesOfModule, ...ownRules };

const uploadRules: Rules<UploadOptions> = {
  store: hasMethods('an UploadStore', ['receive', 'find', 'readPage', 'recordOutcomes', 'start', 'finish']),
  pageSize: wholeNumber(1),
  callTimeoutMs: duration,
};

/** `options`, once nothing is wrong with them. @throws InvalidOptionsError that names every wrong option */
export function checkModuleOptions(options: WorkerModuleOptions): WorkerModuleOptions {
  if (typeof options !== 'object' || options === null) {
    refuseProblems('WorkerModule', [`expected an object of options, got ${describe(options)}`]);
  }
  refuseProblems('WorkerModule', findModuleProblems(options));
  return Object.freeze({ ...options });
}

function findModuleProblems(options: WorkerModuleOptions): string[] {
  const { own } = splitOptions(options);
  const problems = findProcessOptionProblems(options, moduleRules);
  if (own.uploads !== undefined) problems.push(...findUploadProblems(own.uploads));
  if (own.workers !== undefined) {
    problems.push(...findProblemsByName('workers', 'worker type', own.workers, findTypeOptionProblems));
  }
  if (own.cursors !== undefined) {
    problems.push(...findProblemsByName('cursors', 'name of a cursor job', own.cursors, findCursorProblems));
  }
  return problems;
}

function findCursorProblems(settings: CursorJobSettings, path: string): string[] {
  return findProblems(settings, cursorJobSettingRules, path);
}

function findUploadProblems(uploads: UploadOptions): string[] {
  if (uploadRules.store(uploads) === undefined)
    return [
      `uploads: expected an object with the store, { store }, got the store itself, ${describe(uploads)}`,
    ];
  const problems = findProblems(uploads, uploadRules, 'uploads.');
  return problems.length === 0 && uploads.store === undefined
    ? ['uploads.store: expected an UploadStore, got undefined']
    : problems;
}

function findProblemsByName<Options>(
  option: string,
  key: string,
  byName: Readonly<Record<string, Options>>,
  find: (options: Options, path: string) => string[],
): string[] {
  if (typeof byName !== 'object' || byName === null || Array.isArray(byName)) {
    return [`${option}: expected options by ${key}, got ${describe(byName)}`];
  }
  return Object.entries(byName).flatMap(([name, options]) => find(options, `${option}.${name}.`));
}

/** The options of the module itself, and those that the worker process takes. */
export function splitOptions(options: WorkerModuleOptions): {
  own: OwnOptions;
  process: WorkerProcessOptionsInput;
} {
  const { workers, cursors, cursorCache, uploads, reportIntervalMs, jobProcess, ...process } = options;
  return { own: { workers, cursors, cursorCache, uploads, reportIntervalMs, jobProcess }, process };
}

function jobProcessClass(value: unknown): string | undefined {
  const isOne =
    value === JobProcess || (typeof value === 'function' && value.prototype instanceof JobProcess);
  return isOne ? undefined : 'expected a class that extends JobProcess';
}

function anything(): undefined {
  return undefined;
}
