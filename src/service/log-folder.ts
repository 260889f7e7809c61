import { lstat, mkdir, mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isAlive } from './is-alive.js';

const FOLDER = 'background-worker-logs';
const LOGS_KEPT = 5;
/** The time comes first, so that the order of names is that of starts; the number is the process's. */
const LOG_NAME = /^\d{4}-\d{2}-\d{2}T[\d-]+Z-(\d+)\.log$/;
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Makes an empty log file for this process, in a folder of the temporary folder where the newest few of all its
 * services are kept.
 */
export async function makeLogFile(temporaryFolder = tmpdir()): Promise<string> {
  try {
    const folder = await ownFolder(temporaryFolder);
    const time = new Date().toISOString().replaceAll(/[:.]/g, '-');
    const file = path.join(folder, `${time}-${process.pid}.log`);
    await (await open(file, 'ax', 0o600)).close();
    await removeOldLogs(folder);
    return file;
  } catch (error) {
    throw new Error(`LOG_FILE: expected a file for the log, as none can be made in ${temporaryFolder}`, {
      cause: error,
    });
  }
}

/**
 * The user's folder for logs. The temporary folder may be shared: a folder or link that somebody else has put in
 * its place is left alone, since he could exchange the files in it for links to others.
 */
async function ownFolder(temporaryFolder: string): Promise<string> {
  const uid = process.getuid?.();
  const folder = path.join(temporaryFolder, uid === undefined ? FOLDER : `${FOLDER}-${uid}`);
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return (await isOwn(folder, uid)) ? folder : mkdtemp(`${folder}-`);
}

async function isOwn(folder: string, uid: number | undefined): Promise<boolean> {
  const found = await lstat(folder);
  if (!found.isDirectory()) return false;
  // Without user numbers, as on Windows, each user has a temporary folder of his own.
  return uid === undefined || (found.uid === uid && (found.mode & WRITABLE_BY_OTHERS) === 0);
}

/** Removes all but the newest logs, and never that of a process that runs. */
async function removeOldLogs(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => LOG_NAME.test(name)).toSorted();
  for (const name of names.slice(0, -LOGS_KEPT)) {
    const [, pid] = LOG_NAME.exec(name) ?? [];
    if (isAlive(Number(pid))) continue;
    // What cannot be removed is no reason not to start.
    await rm(path.join(folder, name), { force: true }).catch(() => undefined);
  }
}
