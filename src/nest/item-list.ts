import { counted } from './counted.js';
import type { LogFields } from './worker-log.js';

/** What items and dead letters are named by. */
interface Named {
  readonly type: string;
  readonly id: string;
}

/** Ids of a type in the text of a line; more are for machines. */
const IDS_IN_TEXT = 3;
/** Ids among the fields of a line, over all types: what takes the log has its bounds. */
const IDS_IN_FIELDS = 1_000;

/** Names some of the items: `6 items (mail: a:0, a:1, a:2 and 2 more; slow: b:0)`. */
export function listText(items: readonly Named[], one: string): string {
  const byType = [...idsByType(items)].map(([type, ids]) => `${type}: ${firstOf(ids)}`);
  return `${counted(items.length, one)} (${byType.join('; ')})`;
}

/** How many items there are, of which types, and the ids of the first ones. */
export function listFields(items: readonly Named[]): LogFields {
  return {
    count: items.length,
    types: [...idsByType(items).keys()],
    itemIds: items.slice(0, IDS_IN_FIELDS).map(({ id }) => id),
  };
}

function idsByType(items: readonly Named[]): Map<string, string[]> {
  const byType = new Map<string, string[]>();
  for (const { type, id } of items) {
    const ids = byType.get(type);
    if (ids === undefined) byType.set(type, [id]);
    else ids.push(id);
  }
  return byType;
}

function firstOf(ids: readonly string[]): string {
  const named = ids.slice(0, IDS_IN_TEXT).join(', ');
  return ids.length <= IDS_IN_TEXT ? named : `${named} and ${ids.length - IDS_IN_TEXT} more`;
}
