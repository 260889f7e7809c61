import type { EntityManager } from 'typeorm';
import type { NormalisedUser } from './normalise-user.js';

export interface UserToStore {
  /** Names the row for good, across files: the upload row's id, or the item's. */
  readonly sourceRow: string;
  readonly user: NormalisedUser;
}

/** What became of the rows of one call; the three add up to the rows given. */
export interface StoredUsers {
  /** New users. */
  readonly created: number;
  /** Rows whose user an earlier attempt has stored already. */
  readonly replayed: number;
  /** Rows whose email belongs to another row. */
  readonly duplicates: number;
}

/**
 * Stores users in one statement. The first row with an email makes the user; a later row with that email
 * changes nothing, in the same call or in any other. Since the user remembers the row it was made from, a row
 * that comes again after a crash is known as a replay and not taken for a duplicate of itself.
 */
export async function storeUsers(manager: EntityManager, rows: readonly UserToStore[]): Promise<StoredUsers> {
  if (rows.length === 0) return { created: 0, replayed: 0, duplicates: 0 };
  const [counts] = await manager.query<[{ created: number; owned: number }]>(STORE_USERS, [
    JSON.stringify(rows.map(({ sourceRow, user }) => ({ ...user, sourceRow }))),
  ]);
  return {
    created: counts.created,
    replayed: counts.owned - counts.created,
    duplicates: rows.length - counts.owned,
  };
}

// Rows go in by email: two calls that share emails then wait for each other instead of locking crosswise.
// The update changes nothing, but makes the statement return the row that was there; xmax is 0 for a new one.
const STORE_USERS = `
  WITH input AS (
    SELECT value, position, value->>'email' AS email, value->>'sourceRow' AS source_row
    FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS element (value, position)
  ), first_rows AS (
    SELECT DISTINCT ON (email) * FROM input ORDER BY email, position
  ), settled AS (
    INSERT INTO users (email, source_row, full_name, birth_date, country, phone, signed_up_at, plan)
    SELECT email, source_row, value->>'fullName', (value->>'birthDate')::date, value->>'country',
           value->>'phone', (value->>'signedUpAt')::timestamptz, value->>'plan'
    FROM first_rows
    ORDER BY email
    ON CONFLICT (email) DO UPDATE SET email = excluded.email
    RETURNING email, source_row, xmax = 0 AS is_new
  )
  SELECT (SELECT count(*)::int FROM settled WHERE is_new) AS created,
         (SELECT count(*)::int FROM settled JOIN input USING (email, source_row)) AS owned`;
