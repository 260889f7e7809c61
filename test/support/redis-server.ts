import { chmod, chown, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startOnFreePort } from '../../src/service/embedded-postgres/free-port.js';
import type { KeptCommand } from '../../src/service/embedded-postgres/keeper.js';
import { startKeptServer } from '../../src/service/embedded-postgres/kept-server.js';
import { runCommand } from '../../src/service/embedded-postgres/run-command.js';
import { serverUser } from '../../src/service/embedded-postgres/server-user.js';
import { installRedis } from './install-redis.js';

export interface RedisServerOptions {
  /** How long the start may take, in milliseconds; installing Redis comes on top. Default: 30 000. */
  readonly startTimeoutMs?: number;
}

export interface RedisServer {
  readonly url: string;
  stop(): Promise<void>;
}

type RedisCommand = (port: number, directory: string) => KeptCommand;

const DEFAULT_START_TIMEOUT_MS = 30_000;
/** Each test takes a database of its own. */
const SETTINGS = ['--databases', '256', '--save', '', '--appendonly', 'no'];

const localRedis: RedisCommand = (port, directory) => ({
  command: 'redis-server',
  args: ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, ...SETTINGS],
});

const dockerRedis: RedisCommand = (port) => ({
  command: 'docker',
  args: ['run', '--rm', '--publish', `127.0.0.1:${port}:6379`, DOCKER_IMAGE, 'redis-server', ...SETTINGS],
});

const DOCKER_IMAGE = 'redis:7';

/** A Redis of its own, empty, on a free port. It ends with this process, however that ends. */
export async function startRedisServer(options: RedisServerOptions = {}): Promise<RedisServer> {
  const { startTimeoutMs = DEFAULT_START_TIMEOUT_MS } = options;
  const redis = await findRedis();
  return startOnFreePort(async (port) => {
    const directory = await mkdtemp(path.join(tmpdir(), 'test-redis-'));
    const user = serverUser();
    if (user) await chown(directory, user.uid, user.gid);
    await chmod(directory, 0o755);
    const server = await startKeptServer({
      name: 'Redis',
      server: redis(port, directory),
      readyWhen: /ready to accept connections/i,
      stopSignal: 'SIGTERM',
      startTimeoutMs,
      cwd: directory,
      env: process.env,
      removeOnExit: directory,
    });
    return { url: `redis://127.0.0.1:${port}`, stop: () => server.stop() };
  });
}

async function findRedis(): Promise<RedisCommand> {
  if (await works('redis-server', ['--version'])) return localRedis;

  const installation = await installRedis();
  if (installation.succeeded && (await works('redis-server', ['--version']))) return localRedis;

  if (await works('docker', ['info'])) {
    const pull = await runCommand('docker', ['pull', '--quiet', DOCKER_IMAGE]);
    if (pull.succeeded) return dockerRedis;
    throw new Error(`Docker answers, but it cannot pull ${DOCKER_IMAGE}: ${pull.output}`);
  }
  throw new Error(
    'The integration tests need a Redis, and there is none. Any of these helps: put redis-server into the PATH; ' +
      `run the tests as root on Debian or Ubuntu, where they install it (${installation.output}); start Docker; ` +
      'or give the address of a Redis as REDIS_URL.',
  );
}

async function works(command: string, args: readonly string[]): Promise<boolean> {
  return (await runCommand(command, args)).succeeded;
}
