import { randomUUID } from 'node:crypto';
import { chmod, cp, lstat, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A copy of a folder that every user can read, made once for each `key`. */
export async function readableCopy(source: string, key: string): Promise<string> {
  const target = path.join(tmpdir(), key.replaceAll(/[^\w.-]+/g, '-').replace(/^-/, ''));
  if (await isOwnFolder(target)) return target;

  // Another process may do the same: each copies under a name of its own, and only whole copies get the real one.
  const unfinished = `${target}.${randomUUID()}`;
  try {
    // The links in it are relative. Resolved ones would lead back into the folder nobody can read.
    await cp(source, unfinished, { recursive: true, verbatimSymlinks: true });
    await chmod(unfinished, 0o755);
    await rename(unfinished, target);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    if (!(await isOwnFolder(target))) throw error;
  }
  return target;
}

/** What another user put there must not be executed. */
async function isOwnFolder(folder: string): Promise<boolean> {
  const stats = await lstat(folder).catch(() => undefined);
  if (!stats) return false;
  if (stats.isDirectory() && stats.uid === process.getuid?.()) return true;
  throw new Error(
    `Expected ${folder} to be a folder made by this user (uid ${process.getuid?.()}), but it belongs to uid ` +
      `${stats.uid}. Remove it, or let TMPDIR name another folder for temporary files.`,
  );
}
