import { startEmbeddedPostgres } from '../../src/service/embedded-postgres/embedded-postgres.js';
import { startRedisServer } from './redis-server.js';

interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

const started: Server[] = [];

/** Makes REDIS_URL and DATABASE_URL name running servers. Given ones are used; missing ones are started. */
export async function startServers(): Promise<void> {
  const starts = await Promise.allSettled([
    provide('DATABASE_URL', startEmbeddedPostgres),
    provide('REDIS_URL', startRedisServer),
  ]);
  const failure = starts.find((start) => start.status === 'rejected');
  if (!failure) return;
  await stopServers();
  throw failure.reason;
}

export async function stopServers(): Promise<void> {
  await Promise.all(started.splice(0).map((server) => server.stop()));
}

async function provide(variable: string, start: () => Promise<Server>): Promise<void> {
  if (process.env[variable]) return;
  const server = await start();
  started.push(server);
  process.env[variable] = server.url;
}
