import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

jest.setTimeout(120_000);

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const NAME = 'nestjs-background-worker';

/** What every application has; the optional peers are linked where a test needs them. */
const NEEDED = [
  '@nestjs/common',
  '@nestjs/core',
  '@nestjs/microservices',
  '@nestjs/schedule',
  'cron',
  'reflect-metadata',
  'rxjs',
];

let folder: string;
/** Paths in the tarball. */
let packed: string[];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'packed-'));
  await build(path.join(folder, 'package'));
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: path.join(folder, 'package'),
  });
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  packed = files.map((file) => file.path).toSorted();
  await Promise.all([
    unpack(filename, 'minimal', NEEDED),
    unpack(filename, 'with-typeorm', [...NEEDED, 'typeorm']),
    unpack(filename, 'typescript', [...NEEDED, 'typescript', '@types/node']),
  ]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Builds into a folder of its own, as another build may run meanwhile. */
async function build(target: string): Promise<void> {
  await mkdir(target);
  const compiler = path.join(ROOT, 'node_modules/typescript/bin/tsc');
  const targets = [
    '--outDir',
    path.join(target, 'dist'),
    '--tsBuildInfoFile',
    path.join(target, 'dist/.tsbuildinfo'),
  ];
  await run(process.execPath, [compiler, '-p', path.join(ROOT, 'tsconfig.build.json'), ...targets]).catch(
    ({ stdout }: { stdout: string }) => {
      throw new Error(`The build failed:\n${stdout}`);
    },
  );
  for (const file of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md']) {
    await cp(path.join(ROOT, file), path.join(target, file));
  }
}

/** Makes an application in the folder `name` that has the packed library and `peers`, and no other package. */
async function unpack(tarball: string, name: string, peers: readonly string[]): Promise<void> {
  const modules = path.join(folder, name, 'node_modules');
  const library = path.join(modules, NAME);
  await mkdir(library, { recursive: true });
  await run('tar', ['-xzf', path.join(folder, tarball), '-C', library, '--strip-components=1']);
  for (const peer of peers) {
    const link = path.join(modules, peer);
    await mkdir(path.dirname(link), { recursive: true });
    await symlink(path.join(ROOT, 'node_modules', peer), link);
  }
}

/** Runs `code` as a file of the application `name`; it prints JSON. */
async function output(name: string, file: string, code: string): Promise<unknown> {
  const application = path.join(folder, name);
  await writeFile(path.join(application, file), code);
  const { stdout } = await run(process.execPath, [file], { cwd: application });
  return JSON.parse(stdout) as unknown;
}

describe('the tarball', () => {
  test('holds the library alone: no reference service, no tests, no traces of the build', () => {
    expect(packed).toEqual(
      expect.arrayContaining([
        'CHANGELOG.md',
        'LICENSE',
        'README.md',
        'dist/index.d.ts',
        'dist/index.js',
        'dist/typeorm.d.ts',
        'dist/typeorm.js',
        'package.json',
      ]),
    );
    const elsewhere = packed.filter(
      (file) =>
        !/^(dist\/(core|feeds|nest)\/.+|dist\/(index|job-process|typeorm))\.(js|d\.ts|js\.map)$/.test(file) &&
        !/^(package\.json|[A-Z]+(\.md)?)$/.test(file),
    );
    expect(elsewhere).toEqual([]);
  });

  test('has the files that its entry points name', async () => {
    const { exports } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')) as {
      exports: Record<string, string | Record<string, string>>;
    };
    expect(Object.keys(exports)).toEqual(['.', './typeorm', './package.json']);
    const targets = Object.values(exports).flatMap((entry) =>
      typeof entry === 'string' ? [entry] : Object.values(entry),
    );
    expect(packed).toEqual(expect.arrayContaining(targets.map((target) => target.replace('./', ''))));
  });

  test('says nothing of optional packages in the types of the main entry point', async () => {
    const library = path.join(folder, 'minimal/node_modules', NAME, 'dist');
    const files = (await readdir(library, { recursive: true })).filter(
      (file) => file.endsWith('.d.ts') && !/^typeorm\.d\.ts$|uploads[\\/]typeorm/.test(file),
    );
    expect(files.length).toBeGreaterThan(30);
    const imported = new Set<string>();
    for (const file of files) {
      const text = await readFile(path.join(library, file), 'utf8');
      for (const [, name] of text.matchAll(/(?:from|import\() ?['"]([^.'"][^'"]*)['"]/g)) imported.add(name!);
    }
    expect([...imported].filter((name) => !NEEDED.some((peer) => name.startsWith(peer)))).toEqual([]);
  });
});

describe('without the optional packages', () => {
  test('a worker process runs, in a module and in CommonJS', async () => {
    const act = `
      (async () => {
        const jobs = new WorkerProcess();
        const sizes = [];
        jobs.register('sum', { processBatch: (numbers) => void sizes.push(numbers.length), batchSize: 2, maxConcurrency: 1 });
        const job = await jobs.distributeWork('sum', [1, 2, 3]);
        const { status, done } = await job.completed;
        await jobs.shutdown();
        console.log(JSON.stringify({ status, done, sizes }));
      })();`;
    const expected = { status: 'completed', done: 3, sizes: [2, 1] };
    expect(await output('minimal', 'plain.mjs', `import { WorkerProcess } from '${NAME}';${act}`)).toEqual(
      expected,
    );
    expect(
      await output('minimal', 'plain.cjs', `const { WorkerProcess } = require('${NAME}');${act}`),
    ).toEqual(expected);
  });

  const application = `
    class MailWorker extends Worker {
      processItem(address) { sent.push(address); }
    }
    WorkerType('mail')(MailWorker);
    class AppModule {}
    Module({ imports: [WorkerModule.forRoot()], providers: [MailWorker] })(AppModule);
    const sent = [];
    (async () => {
      const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
      const job = await app.get(JobProcess).distributeWork('mail', ['a', 'b']);
      await job.completed;
      await app.close();
      console.log(JSON.stringify(sent));
    })();`;
  const names = '{ JobProcess, Worker, WorkerModule, WorkerType }';

  test('a Nest application runs', async () => {
    const imports = `import 'reflect-metadata';
      import { Module } from '@nestjs/common';
      import { NestFactory } from '@nestjs/core';
      import ${names} from '${NAME}';`;
    expect(await output('minimal', 'nest.mjs', imports + application)).toEqual(['a', 'b']);
  });

  test('a Nest application in CommonJS runs, with one copy of Nest and of the library', async () => {
    const requires = `require('reflect-metadata');
      const { Module } = require('@nestjs/common');
      const { NestFactory } = require('@nestjs/core');
      const ${names} = require('${NAME}');`;
    expect(await output('minimal', 'nest.cjs', requires + application)).toEqual(['a', 'b']);
    const same = `const required = require('${NAME}');
      import('${NAME}').then((imported) => console.log(required.Worker === imported.Worker));`;
    expect(await output('minimal', 'same.cjs', same)).toBe(true);
  });

  test('what needs one says which to install', async () => {
    const code = `import { connectRedisCursorCache } from '${NAME}';
      connectRedisCursorCache('redis://127.0.0.1:1').catch(({ message }) => console.log(JSON.stringify(message)));`;
    expect(await output('minimal', 'redis.mjs', code)).toBe(
      'The Redis cursor cache needs the package ioredis: npm install ioredis',
    );
    const typeorm = `import('${NAME}/typeorm').catch(({ code }) => console.log(JSON.stringify(code)));`;
    expect(await output('minimal', 'typeorm.mjs', typeorm)).toBe('ERR_MODULE_NOT_FOUND');
  });
});

const listNames = (entry: string) =>
  `import * as names from '${entry}'; console.log(JSON.stringify(Object.keys(names).sort()));`;

/** The names that an entry point exports as types only. */
async function typeNames(entry: string): Promise<string[]> {
  const file = path.join(folder, 'minimal/node_modules', NAME, 'dist', `${entry}.d.ts`);
  const text = await readFile(file, 'utf8');
  return [...text.matchAll(/export (type )?\{([^}]*)\}/g)]
    .flatMap(([, onlyTypes, list]) => list!.split(',').map((name) => (onlyTypes ?? '') + name.trim()))
    .filter((name) => /^(type )+\w/.test(name))
    .map((name) => name.replace(/^(type )+/, ''))
    .toSorted();
}

describe('the public names', () => {
  test('of the main entry point', async () => {
    expect(await output('minimal', 'names.mjs', listNames(NAME))).toEqual([
      'BackgroundWorkerError',
      'CursorCallTimeLimitError',
      'CursorJob',
      'CursorRun',
      'DeadLettersFullError',
      'DuplicateCursorJobError',
      'DuplicateWorkerTypeError',
      'HandOverTimeLimitError',
      'InjectWorkerType',
      'InvalidOptionsError',
      'InvalidPageError',
      'InvalidWorkerError',
      'JOB_PROCESS_SETUP',
      'Job',
      'JobCancelledError',
      'JobProcess',
      'MemoryCursorCache',
      'MessageJob',
      'MessageSubscription',
      'NoItemsError',
      'NoUploadStoreError',
      'NonErrorThrownError',
      'ProcessClosedError',
      'QueueFullError',
      'RedisCursorCache',
      'RejectedLetterError',
      'RetryLaterError',
      'ShutdownError',
      'SubscriptionClosedError',
      'TimeLimitError',
      'UnknownCursorJobError',
      'UnknownUploadError',
      'UnknownWorkerTypeError',
      'UnrecoverableError',
      'UploadNotReadyError',
      'UploadRun',
      'Worker',
      'WorkerFactory',
      'WorkerModule',
      'WorkerPool',
      'WorkerProcess',
      'WorkerType',
      'WorkerTypeDoor',
      'closeWithWorkers',
      'connectRedisCursorCache',
      'getWorkerTypeToken',
      'thresholdScaling',
    ]);
  });

  test('of the TypeORM entry point, which needs neither pg nor Redis', async () => {
    expect(await output('with-typeorm', 'names.mjs', listNames(`${NAME}/typeorm`))).toEqual([
      'TypeOrmUploadStore',
      'WorkerUpload',
      'WorkerUploadRow',
      'getWorkerEntities',
      'getWorkerMigrations',
    ]);
    const required = `const { getWorkerEntities } = require('${NAME}/typeorm');
      console.log(JSON.stringify(getWorkerEntities().map(({ name }) => name)));`;
    expect(await output('with-typeorm', 'names.cjs', required)).toEqual(['WorkerUpload', 'WorkerUploadRow']);
  });

  test('of types', async () => {
    expect(await typeNames('index')).toEqual([
      'Acknowledge',
      'BatchContext',
      'Clock',
      'ClosingOptions',
      'CursorCache',
      'CursorCall',
      'CursorJobDefinition',
      'CursorJobOptions',
      'CursorJobSettings',
      'CursorRunProgress',
      'CursorRunResult',
      'CursorRunStatus',
      'CursorSource',
      'DeadLetter',
      'DeadLetterQuery',
      'DeadLetterSelection',
      'DeadReason',
      'Deliver',
      'EventName',
      'ItemContext',
      'JobObserver',
      'JobProcessSetup',
      'JobProgress',
      'JobResult',
      'JobStatus',
      'LateWorkerOptions',
      'Listener',
      'MessageJobOptions',
      'MessageOptions',
      'MessageReceipt',
      'Outcome',
      'Page',
      'PauseReason',
      'PerformanceReport',
      'RedisCursorCacheOptions',
      'RedisForCursors',
      'RetryPolicy',
      'RowOutcome',
      'ScaleReason',
      'ScalingInput',
      'ScalingPolicy',
      'Source',
      'SubmitOptions',
      'Subscribe',
      'Timer',
      'ToItems',
      'Trigger',
      'TriggerCause',
      'TypePerformance',
      'UnfinishedItem',
      'Unsubscribe',
      'Upload',
      'UploadOptions',
      'UploadRow',
      'UploadRunProgress',
      'UploadRunResult',
      'UploadRunStatus',
      'UploadStatus',
      'UploadStore',
      'WorkCounts',
      'WorkerClass',
      'WorkerDefinition',
      'WorkerModuleOptions',
      'WorkerProcessEvents',
      'WorkerProcessOptionsInput',
      'WorkerTypeOptionsInput',
    ]);
    expect(await typeNames('typeorm')).toEqual(['UploadRowState']);
  });

  test('include the types that an application writes, in strict TypeScript', async () => {
    const application = path.join(folder, 'typescript');
    await writeFile(path.join(application, 'tsconfig.json'), JSON.stringify(TSCONFIG));
    await writeFile(path.join(application, 'package.json'), JSON.stringify({ type: 'module' }));
    await writeFile(path.join(application, 'app.ts'), APPLICATION);
    expect(await compile(application)).toBe('');
  });

  test('are found by a CommonJS application as well that is compiled in the old way', async () => {
    const application = path.join(folder, 'typescript');
    const compilerOptions = {
      ...TSCONFIG.compilerOptions,
      module: 'commonjs',
      moduleResolution: 'node10',
      ignoreDeprecations: '6.0',
    };
    await writeFile(
      path.join(application, 'tsconfig.old.json'),
      JSON.stringify({ compilerOptions, files: ['old.ts'] }),
    );
    await writeFile(
      path.join(application, 'old.ts'),
      `import { WorkerProcess } from '${NAME}';
       import { getWorkerEntities } from '${NAME}/typeorm';
       export const types: string[] = new WorkerProcess().types;
       export const entities: number = getWorkerEntities().length;`,
    );
    expect(await compile(application, 'tsconfig.old.json')).toBe('');
  });
});

/** What the compiler finds wrong with the application in this folder. */
async function compile(application: string, project = 'tsconfig.json'): Promise<string> {
  const compiler = path.join(ROOT, 'node_modules/typescript/bin/tsc');
  return run(process.execPath, [compiler, '-p', project, '--noEmit'], { cwd: application }).then(
    () => '',
    ({ stdout }: { stdout: string }) => stdout,
  );
}

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
    types: ['node'],
  },
  files: ['app.ts'],
};

const APPLICATION = `
import { Inject, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  closeWithWorkers, CursorJob, InjectWorkerType, JOB_PROCESS_SETUP, JobProcess, MemoryCursorCache, MessageJob,
  thresholdScaling, UnrecoverableError, Worker, WorkerModule, WorkerPool, WorkerProcess, WorkerType, WorkerTypeDoor,
  type BatchContext, type CursorCache, type CursorSource, type DeadLetter, type ItemContext, type JobProcessSetup,
  type JobResult, type MessageReceipt, type Page, type RetryPolicy, type ScalingPolicy, type Source,
  type UnfinishedItem, type UploadStore, type WorkCounts, type WorkerModuleOptions, type WorkerProcessEvents,
} from '${NAME}';

interface User { readonly name: string }

@WorkerType('users', { batchSize: 100, timeoutMs: 30_000, retry: { limit: 3, backoffMs: 1_000 } })
class UserWorker extends Worker<User> {
  override processBatch(users: readonly User[], context: BatchContext) {
    users.forEach(({ name }, place) => { if (name === '') context.fail(place, new UnrecoverableError('no name')); });
  }
}

@WorkerType('quotes')
class QuoteWorker extends Worker<number> {
  override async processItem(quote: number, { signal, attempt }: ItemContext) {
    signal.throwIfAborted();
    return quote * attempt;
  }
}

@CursorJob({ name: 'quotes', worker: 'quotes', cron: '*/5 * * * *', pageSize: 500 })
class Quotes implements CursorSource<number, string> {
  fetchPage(cursor: string | undefined, limit: number): Promise<Page<number, string>> {
    return Promise.resolve({ items: [limit], next: cursor === undefined ? 'x' : undefined });
  }
}

@Injectable()
class Registrations {
  constructor(@InjectWorkerType('users') readonly users: WorkerTypeDoor<User>, readonly pool: WorkerPool) {}
  @MessageJob('user.registered', { worker: 'users' })
  toItems(payload: User) { return payload; }
  async submit(): Promise<JobResult> {
    // @ts-expect-error the door knows the payloads of its type
    this.users.offer({ nom: 'Ada' });
    return (await this.users.distributeWork([{ name: 'Ada' }])).completed;
  }
}

@Injectable()
class MyJobs extends JobProcess {
  constructor(@Inject(JOB_PROCESS_SETUP) setup: JobProcessSetup) { super(setup); }
}

const policy: ScalingPolicy = (input) => thresholdScaling(input) * 2;
const options: WorkerModuleOptions = {
  scalingPolicy: policy, jobProcess: MyJobs, cursorCache: new MemoryCursorCache(), workers: { users: { maxConcurrency: 2 } },
  onUnfinished: (items: readonly UnfinishedItem[]) => console.log(items.length),
};
@Module({ imports: [WorkerModule.forRoot(options)], providers: [UserWorker, QuoteWorker, Quotes, Registrations] })
class AppModule {}

const app = await NestFactory.create(AppModule);
closeWithWorkers(app);
const jobs = app.get(JobProcess);
jobs.on('cursorRunEnded', ({ name, cause }) => console.log(name, cause satisfies 'cron' | 'manual' | 'message'));
jobs.on('uploadEnded', ({ uploadId, failed }) => console.log(uploadId, failed + 1));
jobs.on('deadLetter', (letter: DeadLetter) => console.log(letter.reason));
const subscription = await jobs.processQueueMessages<User>('users', (deliver) => {
  void deliver({ name: 'Ada' }).then((receipt: MessageReceipt) => receipt.done);
  return () => undefined;
}, { toItems: ({ name }) => ({ name }) });
await subscription.close();
new WorkerProcess().register('plain', { processItem: (text: string) => text.length });
export type Names = [CursorCache, RetryPolicy, Source<User>, UploadStore, WorkCounts, WorkerProcessEvents];
`;
