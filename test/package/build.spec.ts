import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './packed-library.js';

jest.setTimeout(120_000);

/** A project that is built as this one is, of two small sources. */
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'built-'));
  for (const file of ['package.json', 'nest-cli.json', 'tsconfig.json', 'tsconfig.build.json']) {
    await cp(path.join(ROOT, file), path.join(folder, file));
  }
  await symlink(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
  await mkdir(path.join(folder, 'src/part'), { recursive: true });
  for (const source of ['index', 'part/gone']) {
    await writeFile(path.join(folder, `src/${source}.ts`), 'export const one = 1;\n');
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function build(): Promise<string[]> {
  await promisify(execFile)(process.execPath, [path.join(ROOT, 'scripts/build.mjs')], { cwd: folder });
  const entries = await readdir(path.join(folder, 'dist'), { recursive: true });
  return entries.filter((file) => /\.\w+$/.test(file)).toSorted();
}

test('a build leaves nothing of sources that are gone, nor what earlier builds made beside', async () => {
  const kept = ['.tsbuildinfo', 'index.d.ts', 'index.js'];
  expect(await build()).toEqual([...kept, 'part/gone.d.ts', 'part/gone.js'].toSorted());
  await rm(path.join(folder, 'src/part/gone.ts'));
  await writeFile(path.join(folder, 'dist/index.js.map'), '{}');
  expect(await build()).toEqual(kept);
});
