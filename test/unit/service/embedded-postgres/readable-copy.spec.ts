import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readableCopy } from '../../../../src/service/embedded-postgres/readable-copy.js';

let source: string;
let key: string;
let copies: string[];

beforeEach(async () => {
  source = await mkdtemp(path.join(tmpdir(), 'readable-copy-source-'));
  key = `@scope/package-${randomUUID()}`;
  copies = [];
  await mkdir(path.join(source, 'lib'));
  await writeFile(path.join(source, 'lib', 'library.so.1.2'), 'library');
  await symlink('library.so.1.2', path.join(source, 'lib', 'library.so.1'));
});

afterEach(async () => {
  for (const folder of [source, ...copies]) await rm(folder, { recursive: true, force: true });
});

test('copies the tree for everyone to read, with its links as they are', async () => {
  const copied = await copy();

  expect((await stat(copied)).mode & 0o777).toBe(0o755);
  expect(await readlink(path.join(copied, 'lib', 'library.so.1'))).toBe('library.so.1.2');
  expect(await readFile(path.join(copied, 'lib', 'library.so.1'), 'utf8')).toBe('library');
});

test('copies once, however many ask at once', async () => {
  const folders = new Set(await Promise.all([copy(), copy(), copy()]));
  const [folder] = folders;
  await writeFile(path.join(source, 'later'), '');

  expect(folders.size).toBe(1);
  expect(await copy()).toBe(folder);
  expect(await readdir(folder ?? '')).toEqual(['lib']);
  expect(
    (await readdir(tmpdir())).filter((name) => name.startsWith(`${path.basename(folder ?? '')}.`)),
  ).toEqual([]);
});

test('does not trust something else of that name', async () => {
  const folder = await copy();
  await rm(folder, { recursive: true });
  await writeFile(folder, 'not a folder');

  await expect(copy()).rejects.toThrow(/to be a folder made by this user/);
});

async function copy(): Promise<string> {
  const folder = await readableCopy(source, key);
  copies.push(folder);
  return folder;
}
