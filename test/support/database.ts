import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { requiredUrl } from './required-url.js';
import { until } from './until.js';

export interface TestDatabase {
  readonly url: string;
  /** Fails when somebody is still connected: whoever opened a connection has to close it. */
  drop(): Promise<void>;
}

interface OpenConnection {
  readonly application_name: string;
  readonly state: string;
  readonly query: string;
}

/** A client that has said goodbye is listed until the server has read it. */
const GOODBYE_LIMIT_MS = 1_000;

export async function createTestDatabase(): Promise<TestDatabase> {
  const url = requiredUrl('DATABASE_URL');
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await asAdmin((admin) => admin.query(`CREATE DATABASE "${name}"`));
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => asAdmin((admin) => dropDatabase(admin, name)) };
}

async function dropDatabase(admin: Client, name: string): Promise<void> {
  const open = await until(
    () => openConnections(admin, name),
    (connections) => connections.length === 0,
    GOODBYE_LIMIT_MS,
  );
  await admin.query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
  if (open.length === 0) return;
  const list = open.map(
    (one) => `  ${one.application_name || '(no name)'}, ${one.state}: ${one.query || '(no query)'}`,
  );
  throw new Error(
    `Expected no connection to the test database at its end, but ${open.length} ${open.length === 1 ? 'is' : 'are'} open. ` +
      `Close each before the test ends:\n${list.join('\n')}`,
  );
}

async function openConnections(admin: Client, name: string): Promise<OpenConnection[]> {
  const { rows } = await admin.query<OpenConnection>(
    `SELECT application_name, coalesce(state, 'unknown') AS state, query FROM pg_stat_activity
     WHERE datname = $1 AND backend_type = 'client backend'`,
    [name],
  );
  return rows;
}

async function asAdmin<T>(work: (admin: Client) => Promise<T>): Promise<T> {
  const admin = new Client({
    connectionString: requiredUrl('DATABASE_URL').href,
    application_name: 'test databases',
  });
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}
