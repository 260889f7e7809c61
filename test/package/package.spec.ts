import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { NAME, NEEDED, packLibrary, ROOT, type Application, type PackedLibrary } from './packed-library.js';

jest.setTimeout(120_000);

let packed: PackedLibrary;
/** An application without any optional peer, and those with one. */
let minimal: Application;
let withTypeorm: Application;
let withBullmq: Application;

beforeAll(async () => {
  packed = await packLibrary();
  [minimal, withTypeorm, withBullmq] = await Promise.all([
    packed.install('minimal', NEEDED),
    packed.install('with-typeorm', [...NEEDED, 'typeorm']),
    packed.install('with-bullmq', [...NEEDED, 'bullmq', 'ioredis']),
  ]);
});
afterAll(() => packed.remove());

describe('the tarball', () => {
  test('holds the library alone: no reference service, no tests, no traces of the build', () => {
    expect(packed.files).toEqual(
      expect.arrayContaining([
        'CHANGELOG.md',
        'LICENSE',
        'README.md',
        'dist/bullmq.d.ts',
        'dist/bullmq.js',
        'dist/index.d.ts',
        'dist/index.js',
        'dist/typeorm.d.ts',
        'dist/typeorm.js',
        'docs/architecture.md',
        'package.json',
      ]),
    );
    const elsewhere = packed.files.filter(
      (file) =>
        !/^(dist\/(core|engines|feeds|nest)\/.+|dist\/(bullmq|index|job-process|typeorm))\.(js|d\.ts)$/.test(
          file,
        ) && !/^(package\.json|LICENSE|README\.md|CHANGELOG\.md|docs\/.+\.md)$/.test(file),
    );
    expect(elsewhere).toEqual([]);
  });

  test('names no source map, as it has none: what is compiled reads like its source', async () => {
    const code = packed.files.filter((file) => file.endsWith('.js'));
    expect(code.length).toBeGreaterThan(30);
    const mapped = await Promise.all(
      code.map(async (file) => {
        const text = await readFile(path.join(minimal.library, file), 'utf8');
        return text.includes('sourceMappingURL') ? [file] : [];
      }),
    );
    expect(mapped.flat()).toEqual([]);
  });

  test('holds what its pages link to', async () => {
    const pages = packed.files.filter((file) => file.endsWith('.md'));
    expect(pages).toEqual([
      'CHANGELOG.md',
      'README.md',
      'docs/architecture.md',
      'docs/guarantees.md',
      'docs/performance.md',
    ]);
    const links = await Promise.all(pages.map(linksOf));
    expect(links.flat().length).toBeGreaterThan(3);
    expect(links.flat().filter(({ file }) => !packed.files.includes(file))).toEqual([]);
  });

  test('has the files that its entry points name', async () => {
    const { exports } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')) as {
      exports: Record<string, string | Record<string, string>>;
    };
    expect(Object.keys(exports)).toEqual(['.', './bullmq', './typeorm', './package.json']);
    const targets = Object.values(exports).flatMap((entry) =>
      typeof entry === 'string' ? [entry] : Object.values(entry),
    );
    expect(packed.files).toEqual(expect.arrayContaining(targets.map((target) => target.replace('./', ''))));
  });

  test('says nothing of optional packages in the types of the main entry point', async () => {
    const library = path.join(minimal.library, 'dist');
    const files = (await readdir(library, { recursive: true })).filter(
      (file) =>
        file.endsWith('.d.ts') &&
        !/^(typeorm|bullmq)\.d\.ts$|uploads[\\/]typeorm|engines[\\/]bullmq/.test(file),
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

interface Link {
  readonly page: string;
  /** What it leads to, as a path in the tarball. */
  readonly file: string;
}

/** The links of a page that are not to another site. */
async function linksOf(page: string): Promise<Link[]> {
  const text = await readFile(path.join(minimal.library, page), 'utf8');
  return [...text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)].map(([, target]) => ({
    page,
    file: path.posix.join(path.posix.dirname(page), target!),
  }));
}

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
    expect(await minimal.output('plain.mjs', `import { WorkerProcess } from '${NAME}';${act}`)).toEqual(
      expected,
    );
    expect(await minimal.output('plain.cjs', `const { WorkerProcess } = require('${NAME}');${act}`)).toEqual(
      expected,
    );
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
    expect(await minimal.output('nest.mjs', imports + application)).toEqual(['a', 'b']);
  });

  test('a Nest application in CommonJS runs, with one copy of Nest and of the library', async () => {
    const requires = `require('reflect-metadata');
      const { Module } = require('@nestjs/common');
      const { NestFactory } = require('@nestjs/core');
      const ${names} = require('${NAME}');`;
    expect(await minimal.output('nest.cjs', requires + application)).toEqual(['a', 'b']);
    const same = `const required = require('${NAME}');
      import('${NAME}').then((imported) => console.log(required.Worker === imported.Worker));`;
    expect(await minimal.output('same.cjs', same)).toBe(true);
  });

  test('what needs one says which to install', async () => {
    const code = `import { connectRedisCursorCache } from '${NAME}';
      connectRedisCursorCache('redis://127.0.0.1:1').catch(({ message }) => console.log(JSON.stringify(message)));`;
    expect(await minimal.output('redis.mjs', code)).toBe(
      'The Redis cursor cache needs the package ioredis: npm install ioredis',
    );
    const typeorm = `import('${NAME}/typeorm').catch(({ code, message }) => console.log(JSON.stringify({ code, message })));`;
    const { code: errorCode, message } = (await minimal.output(
      'typeorm.mjs',
      typeorm,
    )) as NodeJS.ErrnoException;
    expect([errorCode, message]).toEqual([
      'ERR_MODULE_NOT_FOUND',
      expect.stringMatching(/^Cannot find package 'typeorm' imported from /),
    ]);
  });
});

const listNames = (entry: string) =>
  `import * as names from '${entry}'; console.log(JSON.stringify(Object.keys(names).sort()));`;

describe('the public names', () => {
  test('of the main entry point', async () => {
    expect(await minimal.output('names.mjs', listNames(NAME))).toEqual([
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
      'InvalidRowError',
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
      'UploadCallTimeLimitError',
      'UploadDiscardedError',
      'UploadInUseError',
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
    expect(await withTypeorm.output('names.mjs', listNames(`${NAME}/typeorm`))).toEqual([
      'TypeOrmUploadStore',
      'WorkerUpload',
      'WorkerUploadRow',
      'getWorkerEntities',
      'getWorkerMigrations',
    ]);
    const required = `const { getWorkerEntities } = require('${NAME}/typeorm');
      console.log(JSON.stringify(getWorkerEntities().map(({ name }) => name)));`;
    expect(await withTypeorm.output('names.cjs', required)).toEqual(['WorkerUpload', 'WorkerUploadRow']);
  });

  test('of the BullMQ entry point, which opens nothing before it is asked to', async () => {
    expect(await withBullmq.output('names.mjs', listNames(`${NAME}/bullmq`))).toEqual([
      'InvalidPayloadError',
      'ItemTooLargeError',
      'JobNotTrackedError',
      'NotOnDurableEngineError',
      'ProcessDiedError',
      'StoreUnavailableError',
      'StoreUnreachableError',
      'UnreadableChunkError',
      'redisEngine',
    ]);
    const required = `const { redisEngine } = require('${NAME}/bullmq');
      console.log(JSON.stringify(redisEngine({ url: 'redis://127.0.0.1:1' })));`;
    expect(await withBullmq.output('names.cjs', required)).toEqual({ name: 'redis', isDurable: true });
  });
});
