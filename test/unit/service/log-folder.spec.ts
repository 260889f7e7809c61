import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeLogFile } from '../../../src/service/log-folder.js';

let temporary: string;

beforeEach(async () => {
  temporary = await mkdtemp(path.join(tmpdir(), 'log-folder-'));
});

afterEach(() => rm(temporary, { recursive: true }));

/** No system has as many processes. */
const ENDED_PID = 999_999_999;

const logName = (day: number, pid = ENDED_PID) => `2026-01-0${day}T00-00-00-000Z-${pid}.log`;

/** Puts files into the folder for logs, and gives the folder. */
async function folderWith(names: readonly string[]): Promise<string> {
  const folder = path.dirname(await makeLogFile(temporary));
  for (const name of await readdir(folder)) await rm(path.join(folder, name));
  for (const name of names) await writeFile(path.join(folder, name), name);
  return folder;
}

describe('makeLogFile', () => {
  it('makes an empty file that is for nobody else to read, in a folder that is so', async () => {
    const file = await makeLogFile(temporary);
    expect(path.dirname(path.dirname(file))).toBe(temporary);
    expect(await readFile(file, 'utf8')).toBe('');
    const modes = [(await lstat(file)).mode, (await lstat(path.dirname(file))).mode];
    expect(modes.map((mode) => mode & 0o077)).toEqual([0, 0]);
  });

  it('keeps the newest five, with its own', async () => {
    const days = [1, 2, 3, 4, 5, 6, 7];
    const folder = await folderWith(days.map((day) => logName(day)));
    const file = await makeLogFile(temporary);
    expect(path.dirname(file)).toBe(folder);
    expect((await readdir(folder)).toSorted()).toEqual([
      ...days.slice(3).map((day) => logName(day)),
      path.basename(file),
    ]);
  });

  it('removes no log of a service that runs, and nothing that is no log', async () => {
    const others = [logName(1, process.pid), logName(2, process.ppid), 'notes.txt', '2026.log'];
    const folder = await folderWith([...others, ...[3, 4, 5, 6, 7].map((day) => logName(day))]);
    await makeLogFile(temporary);
    const left = await readdir(folder);
    expect(left).toEqual(expect.arrayContaining(others));
    expect(left).not.toContain(logName(3));
    expect(left).toHaveLength(others.length + 5);
  });

  it('starts though an old log cannot be removed', async () => {
    const folder = await folderWith([2, 3, 4, 5, 6].map((day) => logName(day)));
    await mkdir(path.join(folder, logName(1)));
    const file = await makeLogFile(temporary);
    expect(await readdir(folder)).toEqual(expect.arrayContaining([logName(1), path.basename(file)]));
  });

  it('removes a link, and not what it leads to', async () => {
    const precious = path.join(temporary, 'precious');
    await writeFile(precious, 'kept');
    const folder = await folderWith([2, 3, 4, 5, 6].map((day) => logName(day)));
    await symlink(precious, path.join(folder, logName(1)));
    await makeLogFile(temporary);
    expect(await readdir(folder)).not.toContain(logName(1));
    expect(await readFile(precious, 'utf8')).toBe('kept');
  });

  it.each([
    ['a link', (folder: string, elsewhere: string) => symlink(elsewhere, folder)],
    ['a file', (folder: string) => writeFile(folder, '')],
    ['a folder that others write to', (folder: string) => mkdir(folder).then(() => chmod(folder, 0o777))],
  ])('goes elsewhere when %s is in the place of its folder', async (_, occupy) => {
    const folder = await folderWith([]);
    await rm(folder, { recursive: true });
    const elsewhere = path.join(temporary, 'elsewhere');
    await mkdir(elsewhere);
    await writeFile(path.join(elsewhere, logName(1)), '');
    await occupy(folder, elsewhere);
    const files = [await makeLogFile(temporary), await makeLogFile(temporary)];
    expect(new Set(files.map((file) => path.dirname(file))).size).toBe(2);
    for (const file of files) expect(file.startsWith(`${folder}-`)).toBe(true);
    expect(await readdir(elsewhere)).toEqual([logName(1)]);
  });

  it('says what is missing when there can be none', async () => {
    const missing = path.join(temporary, 'missing');
    await expect(makeLogFile(missing)).rejects.toThrow(
      `LOG_FILE: expected a file for the log, as none can be made in ${missing}`,
    );
  });
});
