import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { startKeptServer, type KeptServer } from '../../../src/service/embedded-postgres/kept-server.js';
import { startOnFreePort } from '../../../src/service/embedded-postgres/free-port.js';
import { serverUser } from '../../../src/service/embedded-postgres/server-user.js';

const START_TIMEOUT_MS = 30_000;

/** A Redis server of one test, that can be killed and started again on its port and its folder. */
export class RedisProcess {
  private server: KeptServer | undefined = undefined;

  private constructor(
    readonly port: number,
    private readonly directory: string,
    private readonly settings: readonly string[],
  ) {}

  /** @param settings as on its command line; the default keeps every write across a kill */
  static async start(
    settings: readonly string[] = ['--appendonly', 'yes', '--appendfsync', 'always'],
  ): Promise<RedisProcess> {
    const directory = await mkdtemp(path.join(tmpdir(), 'test-redis-'));
    const user = serverUser();
    if (user) await chown(directory, user.uid, user.gid);
    await chmod(directory, 0o755);
    return startOnFreePort(async (port) => {
      const redis = new RedisProcess(port, directory, settings);
      await redis.startAgain();
      return redis;
    });
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async startAgain(): Promise<void> {
    this.server = await startKeptServer({
      name: 'Redis',
      server: {
        command: 'redis-server',
        args: [
          '--port',
          String(this.port),
          '--bind',
          '127.0.0.1',
          '--dir',
          this.directory,
          '--save',
          '',
          ...this.settings,
        ],
      },
      readyWhen: /ready to accept connections/i,
      stopSignal: 'SIGTERM',
      startTimeoutMs: START_TIMEOUT_MS,
      cwd: this.directory,
      env: process.env,
    });
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    const info = await this.ask((redis) => redis.info('server'));
    process.kill(Number(/process_id:(\d+)/.exec(info)![1]), 'SIGKILL');
    await this.stop();
  }

  async stop(): Promise<void> {
    await this.server?.stop();
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  async ask<T>(question: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis(this.port, '127.0.0.1', { lazyConnect: true });
    await redis.connect();
    try {
      return await question(redis);
    } finally {
      await redis.quit();
    }
  }
}
