import { transformFile } from '@swc/core';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { swcOptions } from './swc-options.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The package, built into a folder of its own, where programs find it by its name as they do when it is installed. */
export interface BuiltPackage {
  /** Current directory of the programs, and their folder for temporary files. */
  readonly folder: string;
  /** Adds a TypeScript file, translated. @param file its path in the folder, as it is imported (`x.js`) */
  add(source: string, file: string): Promise<void>;
  /** @param env the whole environment, but for PATH, HOME and TMPDIR */
  start(file: string, args?: readonly string[], env?: Readonly<Record<string, string>>): BuiltProgram;
  /** Kills what still runs, and removes the folder. */
  remove(): Promise<void>;
}

/** A program in a process of its own. */
export interface BuiltProgram {
  /** The first match in what it prints. Fails when it ends without one. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
  signal(name: NodeJS.Signals): void;
  /** How it ended, once it has. */
  readonly ended: Promise<ProgramEnd>;
}

export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

export async function buildPackage(): Promise<BuiltPackage> {
  const folder = await realpath(await mkdtemp(path.join(tmpdir(), 'built-package-')));
  // Postgres runs as another user than root, and has to pass through.
  await chmod(folder, 0o755);
  await symlink(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
  await cp(path.join(ROOT, 'package.json'), path.join(folder, 'package.json'));
  const files = await readdir(path.join(ROOT, 'src'), { recursive: true });
  const add = (source: string, file: string) => translate(source, path.join(folder, file));
  await Promise.all(
    files
      .filter((file) => file.endsWith('.ts'))
      .map((file) => add(path.join(ROOT, 'src', file), path.join('dist', file.replace(/\.ts$/, '.js')))),
  );

  const running = new Set<BuiltProgram>();
  return {
    folder,
    add,
    start(file, args = [], env = {}) {
      const program = startProgram(folder, file, args, env);
      running.add(program);
      void program.ended.finally(() => running.delete(program));
      return program;
    },
    async remove() {
      for (const program of running) program.signal('SIGKILL');
      await Promise.all([...running].map(({ ended }) => ended));
      // The database of a killed program is still about to go.
      await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}

async function translate(source: string, target: string): Promise<void> {
  const { code } = await transformFile(source, swcOptions);
  await mkdir(path.dirname(target), { recursive: true });
  await writeFile(target, code);
}

function startProgram(
  folder: string,
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): BuiltProgram {
  const child = spawn(process.execPath, [path.join(folder, file), ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: folder, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const ended: Promise<ProgramEnd> = once(child, 'close').then(([code, signal]) => ({
    code,
    signal,
    output,
    errors,
  }));
  return {
    signal: (name) => child.kill(name),
    ended,
    printed: (pattern) => {
      const found = new Promise<RegExpExecArray>((resolve) => {
        const look = () => {
          const match = pattern.exec(output);
          if (match) resolve(match);
        };
        child.stdout.on('data', look);
        look();
      });
      return Promise.race([found, ended.then((end) => refuse(`${pattern} of ${file}`, end))]);
    },
  };
}

function refuse(expected: string, end: ProgramEnd): never {
  throw new Error(`Expected ${expected}, but it ended: ${JSON.stringify(end)}`);
}
