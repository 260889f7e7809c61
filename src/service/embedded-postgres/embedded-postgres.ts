import { chmod, mkdtemp, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findPostgresBinaries, type PostgresBinaries } from './binaries.js';
import { initdbCommand, makeDataDirectory, openCluster, POSTGRES_ENV } from './cluster.js';
import { startOnFreePort } from './free-port.js';
import { ServerStartError, startKeptServer, type KeptServer, type KeptServerOptions } from './kept-server.js';
import { ownerArgs, stopOrphan } from './orphan.js';

export interface EmbeddedPostgresOptions {
  /** Where the database stays between starts. Without it, it lies in a temporary folder and ends with the server. */
  readonly directory?: string;
  /** Without it, a free port is taken. */
  readonly port?: number;
  /** How long the start may take in all, in milliseconds. Default: 30 000. */
  readonly startTimeoutMs?: number;
}

export interface EmbeddedPostgres {
  readonly url: string;
  readonly directory: string;
  /** Disconnects every client, stops the server, and removes its folder when that is a temporary one. */
  stop(): Promise<void>;
}

const DEFAULT_START_TIMEOUT_MS = 30_000;
const CRASHED_SERVER_POLL_MS = 50;

/** A temporary database dies with its server, so it has no crash to survive. */
const FAST_AND_UNSAFE = ['-c', 'fsync=off', '-c', 'synchronous_commit=off', '-c', 'full_page_writes=off'];

/** Starts a real Postgres from the binaries of an npm package. It ends with this process, however that ends. */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const { directory, port, startTimeoutMs = DEFAULT_START_TIMEOUT_MS } = options;
  const deadline = Date.now() + startTimeoutMs;
  const binaries = await findPostgresBinaries();
  const startOn = (chosenPort: number): Promise<EmbeddedPostgres> =>
    directory === undefined
      ? startTemporary(binaries, chosenPort, deadline)
      : startIn(directory, binaries, chosenPort, deadline);
  return port === undefined ? startOnFreePort(startOn) : startOn(port);
}

async function startTemporary(
  binaries: PostgresBinaries,
  port: number,
  deadline: number,
): Promise<EmbeddedPostgres> {
  const directory = await realpath(await mkdtemp(path.join(tmpdir(), 'embedded-postgres-')));
  await chmod(directory, 0o755);
  const dataDirectory = path.join(directory, 'data');
  await makeDataDirectory(dataDirectory);
  const server = await startKeptServer({
    ...serverOptions(binaries, dataDirectory, port, deadline, FAST_AND_UNSAFE),
    prepare: initdbCommand(binaries.initdb, dataDirectory),
    removeOnExit: directory,
  });
  return { url: urlOf(port), directory, stop: () => server.stop() };
}

async function startIn(
  directory: string,
  binaries: PostgresBinaries,
  port: number,
  deadline: number,
): Promise<EmbeddedPostgres> {
  const dataDirectory = await openCluster(path.resolve(directory), binaries.initdb);
  await stopOrphan(dataDirectory, deadline - Date.now());
  const server = await afterCrashedServer(deadline, () =>
    startKeptServer(serverOptions(binaries, dataDirectory, port, deadline)),
  );
  return { url: urlOf(port), directory: path.dirname(dataDirectory), stop: () => server.stop() };
}

function serverOptions(
  { postgres }: PostgresBinaries,
  dataDirectory: string,
  port: number,
  deadline: number,
  settings: readonly string[] = [],
): KeptServerOptions {
  const network = ['-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='];
  return {
    name: 'Postgres',
    server: { command: postgres, args: ['-D', dataDirectory, ...network, ...ownerArgs(), ...settings] },
    readyWhen: /database system is ready to accept connections/,
    // Its "fast" shutdown: clients are disconnected, and everything is written.
    stopSignal: 'SIGINT',
    startTimeoutMs: Math.max(1, deadline - Date.now()),
    cwd: path.dirname(dataDirectory),
    env: POSTGRES_ENV,
  };
}

/** After a kill -9 its children need a moment to notice, and Postgres does not start beside them. */
async function afterCrashedServer(deadline: number, start: () => Promise<KeptServer>): Promise<KeptServer> {
  for (;;) {
    try {
      return await start();
    } catch (error) {
      const isLeaving =
        error instanceof ServerStartError && /pre-existing shared memory block/.test(error.output);
      if (!isLeaving || Date.now() > deadline) throw error;
      await delay(CRASHED_SERVER_POLL_MS);
    }
  }
}

function urlOf(port: number): string {
  return `postgresql://postgres@127.0.0.1:${port}/postgres`;
}
