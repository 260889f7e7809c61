/**
 * A text as a part of a key: other texts give other parts, and no part has one of the characters that Redis, BullMQ and this
 * store give a meaning (`{`, `}`, `:` and `@`).
 */
export function encodeKeyPart(text: string): string {
  return text.replace(/[^\w.-]/g, (unit) => `%${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** What all keys of a worker type begin with. The braces make it the part that a cluster places keys by. */
export function typeKeyPrefix(prefix: string, type: string): string {
  return `{${prefix}:${encodeKeyPart(type)}}`;
}

/** A key of a worker type that is none of BullMQ's: no queue can have a name with an `@`. */
export function typeKey(prefix: string, type: string, name: string): string {
  return `${typeKeyPrefix(prefix, type)}:@${name}`;
}

/** A key of a job's record. */
export function jobKey(prefix: string, jobId: string, name: string): string {
  return `{${prefix}:@job:${encodeKeyPart(jobId)}}:@${name}`;
}
