import type { RedisOptions } from 'ioredis';

/** How long a client stays with a server that refuses to write before it connects anew once more, in milliseconds. */
const RECONNECT_MS = 5_000;

/** When clients have connected anew for this, by their options: each client has its own, a duplicate as well. */
const reconnects = new WeakMap<object, number>();

/** Whether Redis refused a write as it is a replica: a primary may have become one. */
export function isReadOnly(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('READONLY ');
}

/**
 * Has a client that is refused to write look for the new primary, now and then. What it has asked fails. All that it asks in
 * a moment is refused, and not each refusal is to cut the connection.
 */
export const seekPrimary: Pick<RedisOptions, 'reconnectOnError'> = {
  reconnectOnError(error) {
    if (!isReadOnly(error)) return false;
    const nowMs = performance.now();
    const lastMs = reconnects.get(this);
    if (lastMs !== undefined && nowMs - lastMs < RECONNECT_MS) return false;
    reconnects.set(this, nowMs);
    return true;
  },
};
