import type { EntityManager } from 'typeorm';
import type { Activity } from './activity.js';

export interface ActivityToStore {
  /** The same whenever the message comes again: GitHub's delivery id, or the item's id. */
  readonly messageId: string;
  readonly activity: Activity;
}

/**
 * Counts activities in one statement and returns how many of them were new.
 *
 * A replay does not count twice: each message first puts its id into `webhook_deliveries`, and only the ids
 * that were not there yet raise a count. Both happen or neither, so a crash leaves no message counted but
 * unknown, or known but not counted; and of two processes with the same message, the second waits for the
 * first and then finds the id.
 */
export async function storeActivity(
  manager: EntityManager,
  activities: readonly ActivityToStore[],
): Promise<number> {
  if (activities.length === 0) return 0;
  const [{ counted }] = await manager.query<[{ counted: number }]>(STORE_ACTIVITY, [
    JSON.stringify(activities.map(({ messageId, activity }) => ({ ...activity, messageId }))),
  ]);
  return counted;
}

// Rows go in by key, and counts after deliveries: calls that share rows wait for each other instead of
// locking crosswise.
const STORE_ACTIVITY = `
  WITH input AS (
    SELECT DISTINCT ON (value->>'messageId')
           value->>'messageId' AS message_id, value->>'repository' AS repository, value->>'event' AS event,
           value->>'action' AS action, value->>'sender' AS sender
    FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS element (value, position)
    ORDER BY value->>'messageId', position
  ), counted AS (
    INSERT INTO webhook_deliveries (message_id, repository, event, action, sender)
    SELECT message_id, repository, event, action, sender FROM input ORDER BY message_id
    ON CONFLICT (message_id) DO NOTHING
    RETURNING repository, event
  ), raised AS (
    INSERT INTO repository_activity AS activity (repository, event, count)
    SELECT repository, event, count(*) FROM counted GROUP BY repository, event ORDER BY repository, event
    ON CONFLICT (repository, event) DO UPDATE SET count = activity.count + excluded.count
  )
  SELECT count(*)::int AS counted FROM counted`;
