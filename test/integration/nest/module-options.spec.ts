import { describe, expect, test } from '@jest/globals';
import { Injectable, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  closeWithWorkers,
  InjectWorkerType,
  InvalidOptionsError,
  MemoryCursorCache,
  Worker,
  WorkerModule,
  WorkerType,
  type WorkerModuleOptions,
  type WorkerTypeDoor,
} from '../../../src/index.js';
import { closeAtEnd, compileApplication } from './applications.js';
import { MailWorker, Outbox } from './example-workers.js';

async function refusal(options: unknown, providers: Type[] = [MailWorker, Outbox]): Promise<string> {
  @Module({ imports: [WorkerModule.forRoot(options as WorkerModuleOptions)], providers })
  class AppModule {}
  const start = async () => {
    const app = await NestFactory.create(AppModule, { abortOnError: false, logger: false });
    closeAtEnd(() => app.close());
    await app.init();
  };
  return start().then(
    () => 'started',
    (error: Error) => `${error.name}: ${error.message}`,
  );
}

class StandInStore {
  readonly rows = [];
  receive() {}
  find() {}
  readPage() {}
  recordOutcomes() {}
  start() {}
  finish() {}
}

describe('wrong options', () => {
  test('are all named at once, with what was expected and what came', async () => {
    const message = await refusal({
      maxConcurrency: 0,
      scalingTreshold: 5,
      reportIntervalMs: '1 min',
      cursorCache: { load: () => undefined },
      uploads: { store: 5, pageSize: 0, callTimeoutMs: -1, size: 1 },
      jobProcess: 'MyJobProcess',
      workers: { mail: { batchSize: 1.5 }, import: null },
      retry: { limt: 3 },
    });
    expect(message.replaceAll(/expected one of [^;]*/g, '…').split('; ')).toEqual([
      'InvalidOptionsError: WorkerModule: 12 wrong options: maxConcurrency: expected a whole number of 1 or more, got 0',
      'scalingTreshold: unknown option',
      '…',
      'reportIntervalMs: expected milliseconds from 0 to 2147483647, got "1 min"',
      'cursorCache: expected a CursorCache (it lacks save, clear, close), got an object',
      'jobProcess: expected a class that extends JobProcess, got "MyJobProcess"',
      'retry.limt: unknown option',
      '…',
      'uploads.store: expected an UploadStore (it lacks receive, find, readPage, recordOutcomes, start, finish), got 5',
      'uploads.pageSize: expected a whole number of 1 or more, got 0',
      'uploads.callTimeoutMs: expected milliseconds from 0 to 2147483647, got -1',
      'uploads.size: unknown option',
      '…',
      'workers.mail.batchSize: expected a whole number of 1 or more, got 1.5',
      'workers.import: expected an object, got null',
    ]);
  });

  test.each([
    ['uploads without a store', { uploads: {} }, 'uploads.store: expected an UploadStore, got undefined'],
    ['uploads that are null', { uploads: null }, 'uploads: expected an object, got null'],
    [
      'workers that are an array',
      { workers: [] },
      'workers: expected options by worker type, got an array of 0',
    ],
    ['workers that are a number', { workers: 5 }, 'workers: expected options by worker type, got 5'],
    [
      'a cursor cache that is null',
      { cursorCache: null },
      'cursorCache: expected a CursorCache (it lacks load, save, clear, close), got null',
    ],
    [
      'a cursor cache that was not awaited',
      { cursorCache: Promise.resolve(new MemoryCursorCache()) },
      'cursorCache: expected a CursorCache, as in await connectRedisCursorCache(url), got a Promise',
    ],
    [
      'a store in place of uploads',
      { uploads: new StandInStore() },
      'uploads: expected an object with the store, { store }, got the store itself, a StandInStore',
    ],
    [
      'a class that is no JobProcess',
      { jobProcess: class Foo {} },
      'jobProcess: expected a class that extends JobProcess, got the class Foo',
    ],
    [
      'a function in place of a JobProcess',
      { jobProcess: () => undefined },
      'jobProcess: expected a class that extends JobProcess, got the function jobProcess',
    ],
    [
      'an interval that no timer can take',
      { reportIntervalMs: 2 ** 31 },
      'reportIntervalMs: expected milliseconds from 0 to 2147483647, got 2147483648',
    ],
  ])('are refused when they are %s', async (_, options, problem) => {
    expect(await refusal(options)).toBe(`InvalidOptionsError: WorkerModule: ${problem}`);
  });

  test.each([null, 42, 'none', []])('are refused when forRoot is given %j', (options) => {
    const got = Array.isArray(options) ? 'an array of 0' : JSON.stringify(options);
    expect(() => WorkerModule.forRoot(options as WorkerModuleOptions)).toThrow(
      new InvalidOptionsError('WorkerModule.forRoot', [`expected an object of options, got ${got}`]),
    );
  });

  test.each<[unknown, string]>([
    [null, 'expected an object with useFactory, useClass or useExisting, got null'],
    [undefined, 'expected an object with useFactory, useClass or useExisting, got undefined'],
    [{}, 'expected an object with useFactory, useClass or useExisting, got an object without any of them'],
    [{ useFactory: { maxConcurrency: 3 } }, 'useFactory: expected a function, got an object'],
    [{ useFactory: () => ({}), isGlobal: 'yes' }, 'isGlobal: expected true or false, got "yes"'],
  ])('are refused when forRootAsync is given %j', (options, problem) => {
    expect(() => WorkerModule.forRootAsync(options as object)).toThrow(
      new InvalidOptionsError('WorkerModule.forRootAsync', [problem]),
    );
  });

  test('of a worker type that does not exist name those that do', async () => {
    expect(await refusal({ workers: { male: { batchSize: 5 } } })).toBe(
      'InvalidOptionsError: WorkerModule: workers.male: expected a worker type (known: mail), got "male"',
    );
  });

  test('of a worker type that is misspelt name the one that was meant, before doors that are unknown', async () => {
    @Injectable()
    class Signup {
      constructor(@InjectWorkerType('thumbnail') readonly door: WorkerTypeDoor) {}
    }
    expect(await refusal({ workers: { mial: { batchSize: 5 } } }, [MailWorker, Outbox, Signup])).toBe(
      'InvalidOptionsError: WorkerModule: workers.mial: expected a worker type (known: mail), got "mial" (did you mean "mail"?)',
    );
  });

  test.each([undefined, null])('are refused when an asynchronous factory returns %s', async (nothing) => {
    const workers = WorkerModule.forRootAsync({
      useFactory: () => nothing as unknown as WorkerModuleOptions,
    });
    await expect(compileApplication({ imports: [workers] })).rejects.toThrow(
      `WorkerModule: expected an object of options, got ${nothing}`,
    );
  });

  test.each([
    [
      'a batch size',
      { batchSize: 0 },
      /Worker type "bad".*batchSize: expected a whole number of 1 or more, got 0/,
    ],
    ['an unknown option', { timeout: 5 }, /Worker type "bad".*timeout: unknown option/],
    ['a retry that is no object', { retry: 3 }, /Worker type "bad".*retry: expected an object, got 3/],
    [
      'an unknown retry option',
      { retry: { retries: 3 } },
      /Worker type "bad".*retry.retries: unknown option/,
    ],
    ['more workers than there may be', { minWorkers: 11 }, /Worker type "bad".*minWorkers: expected at most/],
  ])('of the decorator are named: %s', async (_, options, message) => {
    @WorkerType('bad', options as object)
    class BadWorker extends Worker {
      override processItem() {}
    }
    expect(await refusal({}, [BadWorker])).toMatch(message);
  });
});

describe('closeWithWorkers', () => {
  test.each<[string, object, string]>([
    [
      'a text',
      { signals: 'SIGTERM' },
      'signals: expected an array of signals, such as ["SIGTERM"], got "SIGTERM"',
    ],
    [
      'none',
      { signals: [] },
      'signals: expected an array of signals, such as ["SIGTERM"], got an array of 0',
    ],
    [
      'an unknown one',
      { signals: ['SIGFOO'] },
      'signals: expected an array of signals, such as ["SIGTERM"], got an array of 1',
    ],
    [
      'one that nobody can listen to',
      { signals: ['SIGTERM', 'SIGKILL'] },
      'signals: expected signals that a process can listen to (not SIGKILL), got an array of 2',
    ],
    [
      'those that nobody can listen to',
      { signals: ['SIGSTOP', 'SIGKILL'] },
      'signals: expected signals that a process can listen to (not SIGKILL, SIGSTOP), got an array of 2',
    ],
    ['an unknown option', { signal: ['SIGHUP'] }, 'signal: unknown option; expected one of signals'],
  ])('refuses %s for signals, and listens to nothing', (_, options, problem) => {
    const listeners = process.listenerCount('SIGTERM');
    expect(() => closeWithWorkers({} as never, options)).toThrow(`closeWithWorkers(): ${problem}`);
    expect(process.listenerCount('SIGTERM')).toBe(listeners);
  });
});
