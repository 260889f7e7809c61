// The servers of a run, each on a free port, in a temporary folder, ending with this process however that ends.
// oxlint-disable-next-line import/no-unassigned-import -- it lets TypeScript be imported
import '../../test/support/typescript.mjs';
import { chmod, chown, mkdtemp, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

const { findPostgresBinaries } = await import('../../src/service/embedded-postgres/binaries.ts');
const { initdbCommand, makeDataDirectory, POSTGRES_ENV } =
  await import('../../src/service/embedded-postgres/cluster.ts');
const { startOnFreePort } = await import('../../src/service/embedded-postgres/free-port.ts');
const { startKeptServer } = await import('../../src/service/embedded-postgres/kept-server.ts');
const { runCommand } = await import('../../src/service/embedded-postgres/run-command.ts');
const { serverUser } = await import('../../src/service/embedded-postgres/server-user.ts');
const { installRedis } = await import('../../test/support/install-redis.ts');

const START_TIMEOUT_MS = 30_000;
const WITH_LOG = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--save', ''];
const WITHOUT_LOG = ['--appendonly', 'no', '--save', ''];

/**
 * @typedef {object} ServerUrls
 * @property {string} redis with an append-only file that is synced every second
 * @property {string} redisWithoutLog
 * @property {string | undefined} postgres with its defaults
 */

/**
 * Starts what is to be measured on.
 *
 * @returns {Promise<{ urls: ServerUrls, stop: () => Promise<void> }>}
 */
export async function startServers({ withPostgres }) {
  await requireRedis();
  const starts = await Promise.allSettled([
    startRedis(WITH_LOG),
    startRedis(WITHOUT_LOG),
    ...(withPostgres ? [startPostgres()] : []),
  ]);
  const servers = starts.filter(({ status }) => status === 'fulfilled').map(({ value }) => value);
  const stop = async () => void (await Promise.all(servers.map((server) => server.stop())));
  const failure = starts.find(({ status }) => status === 'rejected');
  if (failure !== undefined) {
    await stop();
    throw failure.reason;
  }
  const [redis, redisWithoutLog, postgres] = servers.map(({ url }) => url);
  return { urls: { redis, redisWithoutLog, postgres }, stop };
}

async function requireRedis() {
  if (await hasRedis()) return;
  const { output } = await installRedis();
  if (!(await hasRedis())) throw new Error(`The benchmark needs redis-server in the PATH: ${output}`);
}

async function hasRedis() {
  return (await runCommand('redis-server', ['--version'])).succeeded;
}

function startRedis(settings) {
  return startOnFreePort(async (port) => {
    const directory = await temporaryFolder('bench-redis-');
    const user = serverUser();
    if (user) await chown(directory, user.uid, user.gid);
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, ...settings];
    const server = await startKeptServer({
      name: 'Redis',
      server: { command: 'redis-server', args },
      readyWhen: /ready to accept connections/i,
      stopSignal: 'SIGTERM',
      startTimeoutMs: START_TIMEOUT_MS,
      cwd: directory,
      env: process.env,
      removeOnExit: directory,
    });
    return { url: `redis://127.0.0.1:${port}`, stop: () => server.stop() };
  });
}

/** Not the temporary database of the tests, which writes nothing down: this one has its defaults. */
async function startPostgres() {
  const { initdb, postgres } = await findPostgresBinaries();
  return startOnFreePort(async (port) => {
    const directory = await temporaryFolder('bench-postgres-');
    const data = path.join(directory, 'data');
    await makeDataDirectory(data);
    const network = ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='];
    const server = await startKeptServer({
      name: 'Postgres',
      prepare: initdbCommand(initdb, data),
      server: { command: postgres, args: ['-D', data, '-p', String(port), ...network] },
      readyWhen: /database system is ready to accept connections/,
      stopSignal: 'SIGINT',
      startTimeoutMs: START_TIMEOUT_MS,
      cwd: directory,
      env: POSTGRES_ENV,
      removeOnExit: directory,
    });
    return { url: `postgresql://postgres@127.0.0.1:${port}/postgres`, stop: () => server.stop() };
  });
}

async function temporaryFolder(prefix) {
  const directory = await realpath(await mkdtemp(path.join(tmpdir(), prefix)));
  // The servers' user has to see into it.
  await chmod(directory, 0o755);
  return directory;
}
