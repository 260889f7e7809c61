import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const NAME = 'nestjs-background-worker';

/** What every application has; the optional peers are linked where a test needs them. */
export const NEEDED = [
  '@nestjs/common',
  '@nestjs/core',
  '@nestjs/microservices',
  '@nestjs/schedule',
  'cron',
  'reflect-metadata',
  'rxjs',
];

const TYPESCRIPT = path.join(ROOT, 'node_modules/typescript/bin/tsc');

/** The library as npm packs it, in a folder of its own. */
export interface PackedLibrary {
  /** Paths in the tarball, sorted. */
  readonly files: readonly string[];
  /** Makes an application that has the library and `peers`, and no other package. */
  install(name: string, peers: readonly string[]): Promise<Application>;
  remove(): Promise<void>;
}

/** An application that has the packed library among its packages. */
export interface Application {
  readonly folder: string;
  /** Where the library is. */
  readonly library: string;
  write(file: string, text: string): Promise<void>;
  /** What a file of this code prints, which has to be JSON. */
  output(file: string, code: string): Promise<unknown>;
  /** What the compiler finds wrong with a project; '' when nothing is. */
  compile(project: string): Promise<string>;
}

export async function packLibrary(): Promise<PackedLibrary> {
  const folder = await mkdtemp(path.join(tmpdir(), 'packed-'));
  const source = path.join(folder, 'package');
  await build(source);
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: source,
  });
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  return {
    files: files.map((file) => file.path).toSorted(),
    install: (name, peers) => install(path.join(folder, filename), path.join(folder, name), peers),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Builds into a folder of its own, as another build may run meanwhile. */
async function build(target: string): Promise<void> {
  await mkdir(target);
  const targets = [
    '--outDir',
    path.join(target, 'dist'),
    '--tsBuildInfoFile',
    path.join(target, 'dist/.tsbuildinfo'),
  ];
  await run(process.execPath, [TYPESCRIPT, '-p', path.join(ROOT, 'tsconfig.build.json'), ...targets]).catch(
    ({ stdout }: { stdout: string }) => {
      throw new Error(`The build failed:\n${stdout}`);
    },
  );
  for (const file of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'CONTRIBUTING.md', 'docs']) {
    await cp(path.join(ROOT, file), path.join(target, file), { recursive: true });
  }
}

async function install(tarball: string, folder: string, peers: readonly string[]): Promise<Application> {
  const modules = path.join(folder, 'node_modules');
  const library = path.join(modules, NAME);
  await mkdir(library, { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', library, '--strip-components=1']);
  for (const peer of peers) {
    const link = path.join(modules, peer);
    await mkdir(path.dirname(link), { recursive: true });
    await symlink(path.join(ROOT, 'node_modules', peer), link);
  }
  const write = (file: string, text: string) => writeFile(path.join(folder, file), text);
  return {
    folder,
    library,
    write,
    async output(file, code) {
      await write(file, code);
      const { stdout } = await run(process.execPath, [file], { cwd: folder });
      return JSON.parse(stdout) as unknown;
    },
    compile: (project) =>
      run(process.execPath, [TYPESCRIPT, '-p', project, '--noEmit'], { cwd: folder }).then(
        () => '',
        ({ stdout }: { stdout: string }) => stdout,
      ),
  };
}
