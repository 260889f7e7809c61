import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive } from '../is-alive.js';
import { runCommand } from './run-command.js';

const POLL_MS = 20;

/** A setting that Postgres itself ignores. It writes its command line to a file, so the owner can be read there. */
const OWNER_SETTING = 'embedded.owner_pid';

export function ownerArgs(): string[] {
  return ['-c', `${OWNER_SETTING}=${process.pid}`];
}

/** Stops a server that still runs in the folder though the process that started it is gone. */
export async function stopOrphan(dataDirectory: string, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  const pid = await runningServer(dataDirectory);
  if (pid === undefined) return;

  const owner = await ownerOf(dataDirectory);
  if (owner !== undefined && isAlive(owner)) {
    throw new Error(
      `The database in ${path.dirname(dataDirectory)} is in use: process ${owner} runs a server on it. ` +
        'Stop that process, or give another directory.',
    );
  }
  signal(pid, 'SIGINT');
  while ((await runningServer(dataDirectory)) === pid) {
    if (Date.now() > deadline) {
      throw new Error(
        `A server without an owner (process ${pid}) still runs on ${dataDirectory} ${timeoutMs} ms after it was ` +
          `told to stop. End it with \`kill -QUIT ${pid}\` and start again.`,
      );
    }
    await delay(POLL_MS);
  }
}

/** The process that serves this folder. Its pid file alone proves nothing: the number may be another's by now. */
async function runningServer(dataDirectory: string): Promise<number | undefined> {
  const pidFile = await readFile(path.join(dataDirectory, 'postmaster.pid'), 'utf8').catch(() => '');
  const pid = Number.parseInt(pidFile, 10);
  if (!(pid > 0)) return undefined;
  return (await commandLine(pid)).includes(dataDirectory) ? pid : undefined;
}

async function commandLine(pid: number): Promise<string> {
  if (process.platform === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return (await runCommand('ps', ['-ww', '-o', 'command=', '-p', String(pid)])).output;
}

async function ownerOf(dataDirectory: string): Promise<number | undefined> {
  const options = await readFile(path.join(dataDirectory, 'postmaster.opts'), 'utf8').catch(() => '');
  const owner = new RegExp(`${OWNER_SETTING}=(\\d+)`).exec(options)?.[1];
  return owner === undefined ? undefined : Number(owner);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
