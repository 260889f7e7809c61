// Runs test/compatibility against the packed library and the oldest and newest Nest 11, each installed in a folder of its own.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, realpath, writeFile } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PROGRAM = path.join(ROOT, 'test/compatibility/application.program.ts');
/** A program that hangs ends so. */
const RUN_LIMIT_MS = 30_000;

const INSTALLATIONS = [
  {
    name: 'oldest',
    nest: '11.0.0',
    others: { '@nestjs/schedule': '6.0.0', 'reflect-metadata': '0.1.12', rxjs: '7.1.0' },
  },
  {
    name: 'newest',
    nest: '11',
    others: { '@nestjs/schedule': '6', 'reflect-metadata': '0.2', rxjs: '7' },
  },
];

/** What the program prints when it has come through. */
const EXPECTED = [
  'cron of a cursor job',
  'distributeWork',
  'typed door',
  'message over TCP',
  'guard of a message',
  'ordered shutdown',
];

const TSCONFIG = {
  compilerOptions: {
    target: 'ES2023',
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
    skipLibCheck: true,
    typeRoots: [path.join(ROOT, 'node_modules/@types')],
    types: ['node'],
  },
  files: ['application.ts'],
};

const run = promisify(execFile);
const folder = await realpath(await mkdtemp(path.join(tmpdir(), 'nest-11-')));
process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    process.exitCode = 128 + constants.signals[signal];
    interruption.abort();
  });
}

const packed = await pack();
const results = await Promise.allSettled(INSTALLATIONS.map((installation) => check(installation, packed)));
for (const [index, { status, value, reason }] of results.entries()) {
  if (status === 'fulfilled') console.log(`ok: ${value}`);
  else {
    console.error(`FAILED: Nest 11, ${INSTALLATIONS[index].name}: ${reason.message}`);
    process.exitCode ??= 1;
  }
}

async function pack() {
  await step('npm pack', 'npm', ['pack', '--pack-destination', folder], ROOT);
  const file = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
  if (file === undefined) throw new Error(`npm pack: expected a tarball in ${folder}, got none`);
  return path.join(folder, file);
}

async function check({ name, nest, others }, tarball) {
  const application = path.join(folder, name);
  await mkdir(application);
  const parts = ['common', 'core', 'microservices', 'platform-express'];
  const packages = Object.fromEntries(parts.map((part) => [`@nestjs/${part}`, nest]));
  const dependencies = { ...packages, ...others, 'nestjs-background-worker': `file:${tarball}` };
  const source = await readFile(PROGRAM, 'utf8');
  const files = {
    'package.json': { private: true, type: 'module', dependencies },
    'tsconfig.json': TSCONFIG,
    'application.ts': source.replace('../../src/index.js', 'nestjs-background-worker'),
  };
  for (const [file, content] of Object.entries(files))
    await writeFile(
      path.join(application, file),
      typeof content === 'string' ? content : JSON.stringify(content),
    );

  const quietly = ['--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts'];
  await step('npm install', 'npm', ['install', ...quietly], application);
  await step('types', process.execPath, [path.join(ROOT, 'node_modules/typescript/bin/tsc')], application);
  await runProgram(application);
  return `Nest ${await versionOf(application, '@nestjs/core')}, @nestjs/schedule ${await versionOf(application, '@nestjs/schedule')}`;
}

async function step(name, command, args, cwd) {
  await run(command, args, { cwd, signal: interruption.signal }).catch(({ message, stdout, stderr }) => {
    throw new Error(`${name}: expected it to end with 0, but: ${message}\n${stdout}${stderr}`);
  });
}

async function runProgram(application) {
  const child = spawn(process.execPath, ['application.js'], {
    cwd: application,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_LIMIT_MS,
    killSignal: 'SIGKILL',
    signal: interruption.signal,
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (errors += chunk));
  const [code, signal] = await once(child, 'close');
  const passed = output.split('\n').filter((line) => line !== '');
  if (signal === 'SIGTERM' && passed.join() === EXPECTED.join()) return;
  const came = `${passed.join(', ') || 'nothing'}, and an end by ${signal ?? `exit code ${code}`}`;
  throw new Error(
    `the program: expected ${EXPECTED.join(', ')}, and an end by SIGTERM, got ${came}\n${errors}`,
  );
}

async function versionOf(application, name) {
  const text = await readFile(path.join(application, 'node_modules', name, 'package.json'), 'utf8');
  return JSON.parse(text).version;
}
