import { chmod, chown, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startOnFreePort } from '../../../src/service/embedded-postgres/free-port.js';
import { startKeptServer, type KeptServer } from '../../../src/service/embedded-postgres/kept-server.js';
import { runCommand } from '../../../src/service/embedded-postgres/run-command.js';
import { serverUser } from '../../../src/service/embedded-postgres/server-user.js';
import { installRedis } from '../../support/install-redis.js';
import { AppendOnlyFileWatch } from './append-only-file.js';

/** When Redis flushes its append-only file to the disk: before it answers, or each second. */
export type Flush = 'always' | 'everysec';

const START_TIMEOUT_MS = 30_000;
const PID_FILE = 'redis.pid';
/** Redis promises no more with `everysec` than that about a second of what it has acknowledged is lost. */
const POWER_CUT_LOSES_MS = 1_000;
const SETTINGS = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'yes', '--pidfile', PID_FILE];
/** A rewrite would begin a new file, and the watch on the old one would know nothing of it. */
const NO_REWRITE = ['--auto-aof-rewrite-percentage', '0', '--maxmemory-policy', 'noeviction'];

/** A Redis with an append-only file, a port and a folder of its own, that can be killed and started again on what it left. */
export class OwnRedis {
  private server: KeptServer | undefined;

  private constructor(
    readonly port: number,
    private readonly folder: string,
    private readonly flush: Flush,
    private readonly fileWatch: AppendOnlyFileWatch,
  ) {}

  static async start(flush: Flush): Promise<OwnRedis> {
    await requireRedis();
    return startOnFreePort(async (port) => {
      const folder = await makeFolder();
      const fileWatch = new AppendOnlyFileWatch(folder, 10 * POWER_CUT_LOSES_MS);
      const redis = new OwnRedis(port, folder, flush, fileWatch);
      try {
        await redis.startAgain();
      } catch (error) {
        await redis.stop();
        throw error;
      }
      return redis;
    });
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Ends it by kill -9. What it has written is with the operating system, and is there again at the next start. */
  async kill(): Promise<void> {
    process.kill(Number(await readFile(path.join(this.folder, PID_FILE), 'utf8')), 'SIGKILL');
    // Its keeper ends with it.
    await this.server?.stop();
    this.server = undefined;
  }

  /** The same as if the machine had gone: what was not flushed to the disk is lost too. @returns how many bytes */
  async cutPower(): Promise<number> {
    await this.kill();
    return this.flush === 'always' ? 0 : this.fileWatch.cutBack(POWER_CUT_LOSES_MS);
  }

  async startAgain(): Promise<void> {
    this.server = await startKeptServer({
      name: 'Redis',
      server: { command: 'redis-server', args: this.args() },
      readyWhen: /ready to accept connections/i,
      stopSignal: 'SIGTERM',
      startTimeoutMs: START_TIMEOUT_MS,
      cwd: this.folder,
      env: process.env,
    });
  }

  /** Stops it and removes its folder. */
  async stop(): Promise<void> {
    this.fileWatch.close();
    await this.server?.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  private args(): string[] {
    const own = ['--port', String(this.port), '--dir', this.folder, '--appendfsync', this.flush];
    return [...own, ...SETTINGS, ...NO_REWRITE];
  }
}

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'chaos-redis-'));
  const user = serverUser();
  if (user) await chown(folder, user.uid, user.gid);
  await chmod(folder, 0o755);
  return folder;
}

async function requireRedis(): Promise<void> {
  if (await hasRedis()) return;
  const installation = await installRedis();
  if (installation.succeeded && (await hasRedis())) return;
  throw new Error(
    `The chaos suite kills and restarts a Redis of its own, and there is no redis-server to start: put one of version 7 or ` +
      `later into the PATH, or run the suite as root on Debian or Ubuntu, where it installs it (${installation.output}).`,
  );
}

async function hasRedis(): Promise<boolean> {
  return (await runCommand('redis-server', ['--version'])).succeeded;
}
