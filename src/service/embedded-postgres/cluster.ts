import { randomUUID } from 'node:crypto';
import { chmod, chown, mkdir, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { KeptCommand } from './keeper.js';
import { runCommand } from './run-command.js';
import { serverUser } from './server-user.js';

export const POSTGRES_ENV: NodeJS.ProcessEnv = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };

export function initdbCommand(initdb: string, dataDirectory: string): KeptCommand {
  const superuser = ['--username=postgres', '--auth=trust'];
  const text = ['--encoding=UTF8', '--locale=C'];
  return {
    command: initdb,
    args: ['-D', dataDirectory, ...superuser, ...text, '--no-sync', '--no-instructions'],
  };
}

/** An empty data folder that belongs to the server's user. */
export async function makeDataDirectory(dataDirectory: string): Promise<void> {
  await mkdir(dataDirectory, { mode: 0o700 });
  const user = serverUser();
  if (user) await chown(dataDirectory, user.uid, user.gid);
}

/** The folder of a server that is meant to be started again, with a database cluster in it. */
export async function openCluster(directory: string, initdb: string): Promise<string> {
  const created = await mkdir(directory, { recursive: true });
  // The server's user has to pass through, whatever the umask is.
  if (created !== undefined && serverUser()) await chmod(directory, 0o755);
  const dataDirectory = path.join(await realpath(directory), 'data');
  if (!(await exists(dataDirectory))) await createCluster(dataDirectory, initdb);
  return dataDirectory;
}

async function createCluster(dataDirectory: string, initdb: string): Promise<void> {
  // A half-made cluster, after a crash or beside another process that makes one, must not look like a whole one.
  const unfinished = `${dataDirectory}.${randomUUID()}`;
  try {
    await makeDataDirectory(unfinished);
    const { command, args } = initdbCommand(initdb, unfinished);
    const options = { cwd: path.dirname(dataDirectory), env: POSTGRES_ENV, ...serverUser() };
    const { succeeded, output } = await runCommand(command, args, options);
    if (!succeeded)
      throw new Error(`initdb could not make a database in ${dataDirectory}: ${output}${accessHint(output)}`);
    await rename(unfinished, dataDirectory);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    if (!(await exists(dataDirectory))) throw error;
  }
}

function accessHint(output: string): string {
  const user = serverUser();
  if (!user || !/permission denied/i.test(output)) return '';
  return (
    `\nPostgres refuses to run as root, so it runs as uid ${user.uid} here, and that user must be able to pass ` +
    'through every folder on the way. Give a directory outside of folders with mode 0700.'
  );
}

async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}
