import { describe } from '../../core/describe.js';

/**
 * What of `value` would come back from JSON as something else, in words; undefined when all of it comes back as it is.
 *
 * @param value has no circle
 */
export function findNotJson(value: unknown, path = ''): string | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined;
  if (typeof value === 'object') return findInObject(value, path);
  return Number.isFinite(value) ? undefined : describe(value) + place(path);
}

function findInObject(value: object, path: string): string | undefined {
  // A Date, an id of a database: JSON makes a text of it, and nobody an object again.
  if (!Array.isArray(value) && !isPlain(value)) return describe(value) + place(path);
  for (const [key, member] of Object.entries(value)) {
    // Left out by JSON, which is the same to who reads it; but not in an array, where it becomes null.
    if (member === undefined && !Array.isArray(value)) continue;
    const problem = findNotJson(member, path === '' ? key : `${path}.${key}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return (prototype === Object.prototype || prototype === null) && !('toJSON' in value);
}

function place(path: string): string {
  return path === '' ? '' : ` at ${describe(path)}`;
}
