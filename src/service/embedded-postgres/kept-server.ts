import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { keepServer, type KeptCommand, type KeeperPlan } from './keeper.js';
import { serverUser } from './server-user.js';

const OUTPUT_TAIL_CHARACTERS = 4_000;
const KILL_AFTER_MS = 30_000;

export interface KeptServerOptions {
  readonly name: string;
  /** Runs to its end before the server starts. */
  readonly prepare?: KeptCommand;
  readonly server: KeptCommand;
  /** What the server prints once it accepts connections. */
  readonly readyWhen: RegExp;
  readonly stopSignal: NodeJS.Signals;
  readonly startTimeoutMs: number;
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** A folder to remove once the server is gone, for whatever reason it goes. */
  readonly removeOnExit?: string;
}

export interface KeptServer {
  /** Resolves when the server is gone; calling it again is fine. */
  stop(): Promise<void>;
}

export class ServerStartError extends Error {
  override readonly name = 'ServerStartError';

  constructor(
    message: string,
    readonly output: string,
  ) {
    super(`${message} ${output === '' ? 'It printed nothing.' : `The end of what it printed:\n${output}`}`);
  }
}

type Keeper = ChildProcessByStdio<Writable, Readable, Readable>;

/**
 * Starts a server that never outlives this process, not even when this process is killed, and that keeps running
 * at Ctrl-C until this process is done with it.
 */
export async function startKeptServer(options: KeptServerOptions): Promise<KeptServer> {
  const keeper = spawnKeeper(options);
  const gone = new Promise<void>((resolve) => keeper.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    keeper.ref();
    keeper.stdin.end();
    await gone;
  };
  try {
    await ready(keeper, options);
  } catch (error) {
    await stop();
    throw error;
  }
  letThisProcessEnd(keeper);
  return { stop };
}

function spawnKeeper(options: KeptServerOptions): Keeper {
  const plan: KeeperPlan = {
    title: `${options.name} keeper of process ${process.pid}`,
    steps: options.prepare ? [options.prepare, options.server] : [options.server],
    stopSignal: options.stopSignal,
    killAfterMs: KILL_AFTER_MS,
    cwd: options.cwd,
    env: options.env,
    user: serverUser(),
    removeOnExit: options.removeOnExit,
  };
  const source = `(${keepServer.toString()})(${JSON.stringify(plan)})`;
  const keeper = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    // A terminal sends Ctrl-C to its whole process group; the application wants to drain before its server goes.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  // Closing the input of a keeper that is gone already is no error: that is what it was closed for.
  keeper.stdin.on('error', () => {});
  return keeper;
}

async function ready(keeper: Keeper, options: KeptServerOptions): Promise<void> {
  let output = '';
  const settled = new AbortController();
  const accepting = new Promise<void>((resolve) => {
    const read = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-OUTPUT_TAIL_CHARACTERS);
      if (options.readyWhen.test(output)) resolve();
    };
    keeper.stdout.on('data', read);
    keeper.stderr.on('data', read);
  });
  const ended = once(keeper, 'close', settled).then(([code]) => {
    throw new ServerStartError(
      `${options.name} ended with exit code ${code} before it was ready.`,
      output.trim(),
    );
  });
  const { promise: late, cancel } = timeLimit(options.startTimeoutMs, () => {
    return new ServerStartError(
      `${options.name} was not ready within ${options.startTimeoutMs} ms.`,
      output.trim(),
    );
  });
  try {
    await Promise.race([accepting, ended, late]);
  } finally {
    cancel();
    settled.abort();
    ended.catch(() => {});
  }
}

function timeLimit(limitMs: number, error: () => Error): { promise: Promise<never>; cancel: () => void } {
  let timer: NodeJS.Timeout;
  const promise = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(error()), limitMs);
  });
  return { promise, cancel: () => clearTimeout(timer) };
}

function letThisProcessEnd(keeper: Keeper): void {
  keeper.unref();
  for (const stream of [keeper.stdin, keeper.stdout, keeper.stderr]) (stream as unknown as Socket).unref();
}
