import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { requiredUrl } from './required-url.js';
import { until } from './until.js';

export interface RedisNamespace {
  /** A database of the server that no other test uses meanwhile. Leave it to `close` to empty it. */
  readonly url: string;
  /** For what databases do not separate: the names of pub/sub channels. */
  readonly keyPrefix: string;
  /** Fails when somebody is still connected to it: whoever opened a connection has to close it. */
  close(): Promise<void>;
}

/** Lies in each claimed database, so that a database in which somebody else has keys is never taken. */
const CLAIM_KEY = 'nestjs-background-worker:test-claim';
/** A claim that was left behind by a killed test run ends after this time. No test file may take as long. */
const CLAIM_MS = 10 * 60_000;
const CLAIM_SCRIPT = `
  local now = redis.call('TIME')[1] * 1000
  local claimedUntil = redis.call('GET', KEYS[1])
  if claimedUntil and tonumber(claimedUntil) > now then return 0 end
  if not claimedUntil and redis.call('DBSIZE') > 0 then return 0 end
  redis.call('FLUSHDB')
  redis.call('SET', KEYS[1], now + ARGV[1])
  return 1`;
const OWN_CLIENT_NAME = 'test-namespaces';
/** A client that has said goodbye is listed until the server has read it. */
const GOODBYE_LIMIT_MS = 1_000;

export async function createRedisNamespace(): Promise<RedisNamespace> {
  const url = requiredUrl('REDIS_URL');
  const database = await asAdmin(claimDatabase);
  url.pathname = `/${database}`;
  return {
    url: url.href,
    keyPrefix: `test-${randomUUID()}:`,
    close: () => asAdmin((admin) => releaseDatabase(admin, database)),
  };
}

async function claimDatabase(admin: Redis): Promise<number> {
  const databases = await databaseCount(admin);
  // Database 0 is where everything else lives that forgets to choose one.
  for (let database = 1; database < databases; database++) {
    await admin.select(database);
    if ((await admin.eval(CLAIM_SCRIPT, 1, CLAIM_KEY, CLAIM_MS)) === 1) return database;
  }
  throw new Error(
    `Expected a free database among the ${databases - 1} of the test Redis, but each is claimed by a test or holds ` +
      'keys that are not from a test. Close each namespace at the end of its test, or let REDIS_URL name an empty server.',
  );
}

async function databaseCount(admin: Redis): Promise<number> {
  const [, databases] = (await admin.config('GET', 'databases')) as string[];
  return Number(databases);
}

async function releaseDatabase(admin: Redis, database: number): Promise<void> {
  const open = await until(
    () => openConnections(admin, database),
    (connections) => connections.length === 0,
    GOODBYE_LIMIT_MS,
  );
  if (open.length === 0) {
    await admin.select(database);
    await admin.flushdb();
    return;
  }
  // The claim stays: what still runs would write into the next test's data.
  const list = open.map(
    ({ name, cmd, addr }) => `  ${name || '(no name)'} from ${addr}, last command: ${cmd}`,
  );
  throw new Error(
    `Expected no connection to the test's Redis database at its end, but ${open.length} ${open.length === 1 ? 'is' : 'are'} ` +
      `open. Close each before the test ends:\n${list.join('\n')}`,
  );
}

interface OpenConnection {
  readonly name: string;
  readonly addr: string;
  readonly cmd: string;
}

async function openConnections(admin: Redis, database: number): Promise<OpenConnection[]> {
  const clients = ((await admin.client('LIST')) as string).trim().split('\n').map(parseClient);
  return clients.filter((client) => client.db === String(database) && client.name !== OWN_CLIENT_NAME);
}

function parseClient(line: string) {
  const fields = new Map(line.split(' ').map((field) => splitAtFirst(field, '=')));
  const field = (name: string): string => fields.get(name) ?? '';
  return { db: field('db'), name: field('name'), addr: field('addr'), cmd: field('cmd') };
}

function splitAtFirst(text: string, separator: string): [string, string] {
  const index = text.indexOf(separator);
  return [text.slice(0, index), text.slice(index + 1)];
}

async function asAdmin<T>(work: (admin: Redis) => Promise<T>): Promise<T> {
  const admin = new Redis(requiredUrl('REDIS_URL').href, {
    connectionName: OWN_CLIENT_NAME,
    lazyConnect: true,
  });
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.quit();
  }
}
