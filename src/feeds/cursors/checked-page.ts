import { describe } from '../../core/describe.js';
import { BackgroundWorkerError } from '../../core/errors.js';
import { findNotJson } from './not-json.js';
import type { Page } from './cursor-source.js';

/** A source returned a page it must not: it can't be read on. The run fails, and the checkpoint is kept. */
export class InvalidPageError extends BackgroundWorkerError {
  readonly code = 'INVALID_PAGE';

  constructor(
    readonly jobName: string,
    problem: string,
  ) {
    super(`Cursor job ${describe(jobName)}: ${problem}`);
  }
}

/** A page that was found right. */
export interface CheckedPage {
  readonly payloads: readonly unknown[];
  /** The position after it; undefined at the end of the source. */
  readonly next: unknown;
  /** Whether the run ends with it. */
  readonly isLast: boolean;
}

/**
 * What `fetchPage` of the cursor job `name` returned for `cursor`.
 *
 * @throws InvalidPageError
 */
export function checkedPage(name: string, cursor: unknown, page: unknown): CheckedPage {
  if (!isPage(page)) {
    throw new InvalidPageError(
      name,
      `expected fetchPage to return { items: [...], next }, got ${describe(page)}`,
    );
  }
  const next = page.next ?? undefined;
  const isLast = next === undefined || page.isLast === true;
  if (next !== undefined) checkNext(name, cursor, next, isLast);
  // A copy: the source may use its array again for the next page, which is fetched while this one is worked on.
  return { payloads: [...page.items], next, isLast };
}

/** A position has to outlast the process, and to be another one than that of its page. */
function checkNext(name: string, cursor: unknown, next: unknown, isLast: boolean): void {
  const position = jsonText(next);
  const problem = position === undefined ? describe(next) : findNotJson(next);
  if (problem !== undefined) {
    throw new InvalidPageError(
      name,
      `expected next to be a JSON value, which a cursor cache gives back as it was, got ${problem}`,
    );
  }
  if (isLast || position !== jsonText(cursor)) return;
  throw new InvalidPageError(
    name,
    `the page after cursor ${shown(position!)} has the same cursor as its next, and would be read for ever; ` +
      'at the end of the source, expected next to be undefined, or isLast to be true',
  );
}

function isPage(page: unknown): page is Page<unknown, unknown> {
  return typeof page === 'object' && page !== null && 'items' in page && Array.isArray(page.items);
}

/** Undefined for what JSON can't say. */
function jsonText(value: unknown): string | undefined {
  try {
    const text = JSON.stringify(value) as string | undefined;
    return text === 'null' ? undefined : text;
  } catch {
    return undefined;
  }
}

function shown(json: string): string {
  return json.length <= 60 ? json : `${json.slice(0, 57)}...`;
}
