import { describe } from '../../core/describe.js';
import {
  duration,
  findMissing,
  findProblems,
  hasMethods,
  refuseProblems,
  text,
  wholeNumber,
  type Rule,
} from '../../core/option-rules.js';
import type { CursorSource } from './cursor-source.js';

/** A cursor job. */
export interface CursorJobDefinition {
  /** Its name, and the key of its checkpoint. */
  readonly name: string;
  /** The worker type that the items go to. */
  readonly type: string;
  readonly source: CursorSource;
  /** Items of a page at the most, 1 or more. Default 500. */
  readonly pageSize?: number;
  /**
   * Milliseconds that each call of the source (`fetchPage`, `onRunCompleted`) and of the cursor cache may take; then the
   * run fails. 0: any time. Default 60,000.
   */
  readonly callTimeoutMs?: number;
}

/** A cursor job, with the defaults of what its definition leaves out. */
export type CursorJob = Required<CursorJobDefinition>;

const PAGE_SIZE = 500;
const CALL_TIMEOUT_MS = 60_000;

/** What a cursor job is registered with, and what `@CursorJob` says of one, in common. */
export const commonCursorRules = {
  name: text,
  pageSize: wholeNumber(1),
  callTimeoutMs: duration,
} satisfies Record<string, Rule>;

const rules = {
  ...commonCursorRules,
  type: text,
  source: hasMethods('a CursorSource', ['fetchPage']),
} satisfies Record<keyof CursorJobDefinition, Rule>;

/**
 * The cursor job of a definition.
 *
 * @throws InvalidOptionsError that names all that is wrong
 */
export function resolveCursorJob(definition: CursorJobDefinition): CursorJob {
  refuseProblems(`Cursor job ${describe(definition?.name)}`, [
    ...findProblems(definition, rules),
    ...findMissing(definition, rules, ['name', 'type', 'source']),
  ]);
  const { name, type, source, pageSize = PAGE_SIZE, callTimeoutMs = CALL_TIMEOUT_MS } = definition;
  return Object.freeze({ name, type, source, pageSize, callTimeoutMs });
}
