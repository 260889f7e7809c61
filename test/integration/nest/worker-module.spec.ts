import { describe, expect, jest, test } from '@jest/globals';
import { Global, Inject, Injectable, Module, Scope, type DynamicModule, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { inspect } from 'node:util';
import {
  CursorJob,
  getWorkerTypeToken,
  InjectWorkerType,
  InvalidOptionsError,
  JOB_PROCESS_SETUP,
  JobProcess,
  MemoryCursorCache,
  UnrecoverableError,
  Worker,
  WorkerFactory,
  WorkerModule,
  WorkerPool,
  WorkerType,
  WorkerTypeDoor,
  type BatchContext,
  type CursorSource,
  type JobProcessSetup,
  type WorkerModuleOptions,
} from '../../../src/index.js';
import { closeAtEnd, compileApplication, gate, nextEvent, startApplication } from './applications.js';

jest.setTimeout(20_000);

@Injectable()
class Outbox {
  readonly sent: unknown[] = [];
}

@WorkerType('mail', { retry: { limit: 0 } })
class MailWorker extends Worker<string> {
  constructor(readonly outbox: Outbox) {
    super();
  }

  override processItem(address: string) {
    if (address === '') throw new UnrecoverableError('expected an address');
    this.outbox.sent.push(address);
  }
}

@WorkerType('import', { batchSize: 4 })
class ImportWorker extends Worker<number> {
  static readonly sizes: number[] = [];
  override processBatch(_rows: readonly number[], context: BatchContext) {
    ImportWorker.sizes.push(context.size);
  }
}

const quiet = { reportIntervalMs: 0 } as const;

describe('WorkerModule.forRoot', () => {
  test('finds the workers of every module, gives them their dependencies and runs what is submitted', async () => {
    @Module({ providers: [ImportWorker] })
    class FeatureModule {}
    const app = await startApplication({
      imports: [WorkerModule.forRoot(quiet), FeatureModule],
      providers: [MailWorker, Outbox],
    });
    const jobs = app.get(JobProcess);
    expect(jobs.types.toSorted()).toEqual(['import', 'mail']);

    const job = await jobs.distributeWork('mail', ['a@example.org', 'b@example.org', '']);
    expect(await job.completed).toMatchObject({
      total: 3,
      done: 2,
      failed: 1,
      status: 'completed-with-failures',
    });
    expect(app.get(Outbox).sent).toEqual(['a@example.org', 'b@example.org']);
  });

  test('provides one JobProcess, one WorkerPool that is its pool, and one WorkerFactory to all modules', async () => {
    @Injectable()
    class Elsewhere {
      constructor(
        readonly jobs: JobProcess,
        readonly pool: WorkerPool,
        readonly factory: WorkerFactory,
      ) {}
    }
    @Module({ providers: [Elsewhere] })
    class FeatureModule {}
    const app = await startApplication({ imports: [WorkerModule.forRoot(), FeatureModule] });

    const { jobs, pool, factory } = app.get(Elsewhere, { strict: false });
    expect(jobs).toBe(app.get(JobProcess));
    expect(pool).toBe(jobs.pool);
    expect(pool).toBe(app.get(WorkerPool));
    expect(factory).toBe(app.get(WorkerFactory));
  });

  test('keeps to its importers when it is not to be global', async () => {
    @Injectable()
    class Needy {
      constructor(readonly jobs: JobProcess) {}
    }
    const workers = WorkerModule.forRoot({ isGlobal: false });
    @Module({ providers: [Needy] })
    class Stranger {}
    @Module({ imports: [workers], providers: [Needy] })
    class Importer {}

    const withStranger = compileApplication({ imports: [workers, Stranger] });
    await expect(withStranger).rejects.toThrow(/can't resolve dependencies of the Needy/);

    const app = await startApplication({ imports: [Importer] });
    expect(app.get(Needy, { strict: false }).jobs).toBeInstanceOf(JobProcess);
  });

  test('takes options of a worker type that win over those of the decorator', async () => {
    ImportWorker.sizes.length = 0;
    const app = await startApplication({
      imports: [
        WorkerModule.forRoot({ batchSize: 50, workers: { import: { batchSize: 3, maxConcurrency: 1 } } }),
      ],
      providers: [ImportWorker],
    });
    const job = await app.get(JobProcess).distributeWork('import', [1, 2, 3, 4, 5, 6]);
    await job.completed;
    expect(ImportWorker.sizes).toEqual([3, 3]);
  });

  test('lets the decorator speak where the options of a worker type are undefined', async () => {
    ImportWorker.sizes.length = 0;
    const app = await startApplication({
      imports: [
        WorkerModule.forRoot({
          workers: { import: { batchSize: undefined, retry: undefined, maxConcurrency: 1 } },
        }),
      ],
      providers: [ImportWorker],
    });
    const job = await app.get(JobProcess).distributeWork('import', [1, 2, 3, 4, 5, 6, 7, 8]);
    await job.completed;
    expect(ImportWorker.sizes).toEqual([4, 4]);
  });

  test('joins the retry options of decorator and configuration one by one', async () => {
    @WorkerType('flaky', { retry: { limit: 2, backoffMs: 0 } })
    class FlakyWorker extends Worker {
      override processItem() {
        throw new Error('no');
      }
    }
    const app = await startApplication({
      imports: [WorkerModule.forRoot({ workers: { flaky: { retry: { limit: 1, backoffMs: undefined } } } })],
      providers: [FlakyWorker],
    });
    const died = nextEvent(app, 'deadLetter');
    await app.get(JobProcess).distributeWork('flaky', 1);
    expect((await died).attempts).toBe(2);
  });

  test('does not hold on to the options object of the caller', async () => {
    const options: { maxConcurrency: number } = { maxConcurrency: 2 };
    const app = await startApplication({ imports: [WorkerModule.forRoot(options)] });
    options.maxConcurrency = 3;
    expect(app.get(WorkerPool).maxConcurrency).toBe(2);
  });

  test('asks a scaling policy of the application', async () => {
    const sizes: number[] = [];
    const held = gate();
    @WorkerType('slow')
    class SlowWorker extends Worker {
      override processItem() {
        return held.opened;
      }
    }
    const app = await startApplication({
      imports: [
        WorkerModule.forRoot({
          scalingPolicy: ({ type, queueSize }) => {
            expect(type).toBe('slow');
            sizes.push(queueSize);
            return 3;
          },
        }),
      ],
      providers: [SlowWorker],
    });
    const scaled = nextEvent(app, 'scaled');
    const job = await app.get(JobProcess).distributeWork('slow', [1, 2, 3, 4, 5]);
    expect(await scaled).toEqual({ type: 'slow', from: 0, to: 3, reason: 'queue-size', queueSize: 5 });
    expect(app.get(WorkerPool).workerCount('slow')).toBe(3);
    held.open();
    await job.completed;
    expect(sizes[0]).toBe(5);
  });
});

const asyncWorkers = (isGlobal: boolean) =>
  WorkerModule.forRootAsync({ isGlobal, useFactory: () => Promise.resolve({ maxConcurrency: 7 }) });

describe('WorkerModule.forRootAsync', () => {
  @Injectable()
  class Configuration {
    readonly values = { concurrency: 3, importBatch: 2 };
  }
  @Module({ providers: [Configuration], exports: [Configuration] })
  class ConfigurationModule {}

  test('takes everything from a provider, the options of worker types included', async () => {
    ImportWorker.sizes.length = 0;
    const app = await startApplication({
      imports: [
        WorkerModule.forRootAsync({
          imports: [ConfigurationModule],
          inject: [Configuration],
          useFactory: ({ values }: Configuration) => ({
            maxConcurrency: values.concurrency,
            workers: { import: { batchSize: values.importBatch, maxConcurrency: 1 } },
          }),
        }),
      ],
      providers: [ImportWorker],
    });
    expect(app.get(WorkerPool).maxConcurrency).toBe(3);
    await (
      await app.get(JobProcess).distributeWork('import', [1, 2, 3, 4])
    ).completed;
    expect(ImportWorker.sizes).toEqual([2, 2]);
  });

  test('awaits a factory, and is as global as it is told', async () => {
    @Injectable()
    class Needy {
      constructor(readonly jobs: JobProcess) {}
    }
    @Module({ providers: [Needy] })
    class Stranger {}
    await expect(compileApplication({ imports: [asyncWorkers(false), Stranger] })).rejects.toThrow(/Needy/);
    const app = await startApplication({ imports: [asyncWorkers(true), Stranger] });
    expect(app.get(Needy, { strict: false }).jobs.pool.maxConcurrency).toBe(7);
  });
});

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

describe('wrong options', () => {
  test('are all named at once, with what was expected and what came', async () => {
    const message = await refusal({
      maxConcurrency: 0,
      scalingTreshold: 5,
      reportIntervalMs: '1 min',
      cursorCache: { load: () => undefined },
      uploads: { store: 5, pageSize: 0, size: 1 },
      jobProcess: 'MyJobProcess',
      workers: { mail: { batchSize: 1.5 }, import: null },
      retry: { limt: 3 },
    });
    expect(message.replaceAll(/expected one of [^;]*/g, '…').split('; ')).toEqual([
      'InvalidOptionsError: WorkerModule: 11 wrong options: maxConcurrency: expected a whole number of 1 or more, got 0',
      'scalingTreshold: unknown option',
      '…',
      'reportIntervalMs: expected milliseconds from 0 to 2147483647, got "1 min"',
      'cursorCache: expected a CursorCache (it lacks save, clear, close), got an object',
      'jobProcess: expected a class that extends JobProcess, got "MyJobProcess"',
      'retry.limt: unknown option',
      '…',
      'uploads.store: expected an UploadStore (it lacks receive, find, readPage, recordOutcomes, start, finish), got 5',
      'uploads.pageSize: expected a whole number of 1 or more, got 0',
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
      'a class that is no JobProcess',
      { jobProcess: class Foo {} },
      'jobProcess: expected a class that extends JobProcess, got the function Foo',
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

async function refusalOf(...providers: Type[]): Promise<Error> {
  const compiled = compileApplication({ imports: [WorkerModule.forRoot(quiet)], providers });
  return compiled.then(
    () => new Error('started'),
    (error: Error) => error,
  );
}

describe('worker classes', () => {
  test('of which two have one type are refused', async () => {
    @WorkerType('mail')
    class OtherMailWorker extends Worker {
      override processItem() {}
    }
    expect(await refusalOf(MailWorker, Outbox, OtherMailWorker)).toMatchObject({
      code: 'DUPLICATE_WORKER_TYPE',
      type: 'mail',
    });
  });

  test('that two modules provide are one type', async () => {
    @Module({ providers: [ImportWorker] })
    class One {}
    @Module({ providers: [ImportWorker] })
    class Two {}
    const app = await startApplication({ imports: [WorkerModule.forRoot(quiet), One, Two] });
    expect(app.get(JobProcess).types).toEqual(['import']);
    await (
      await app.get(JobProcess).distributeWork('import', [1])
    ).completed;
  });

  test('that do not extend Worker are refused', async () => {
    @WorkerType('loose')
    class LooseWorker {
      processItem() {}
    }
    expect(await refusalOf(LooseWorker)).toMatchObject({
      code: 'INVALID_WORKER',
      message:
        'Worker of type "loose": expected worker to be a class that extends Worker, got the function LooseWorker',
    });
  });

  test('with neither or both of the methods are refused', async () => {
    @WorkerType('idle')
    class IdleWorker extends Worker {}
    @WorkerType('torn')
    class TornWorker extends Worker {
      override processItem() {}
      override processBatch() {}
    }
    expect((await refusalOf(IdleWorker)).message).toMatch(
      /"idle": expected a method processItem.*got neither/,
    );
    expect((await refusalOf(TornWorker)).message).toMatch(
      /"torn": expected processItem or processBatch, got both/,
    );
  });

  test('whose dependency is missing fail the start, as any provider of Nest', async () => {
    expect((await refusalOf(MailWorker)).message).toMatch(
      /can't resolve dependencies of the MailWorker \(\?\)/,
    );
  });

  test('that another decorator makes a singleton are refused, as workers would share their fields', async () => {
    @Injectable()
    @WorkerType('shared')
    class SharedWorker extends Worker {
      override processItem() {}
    }
    expect(await refusalOf(SharedWorker)).toMatchObject({
      code: 'INVALID_WORKER',
      message: expect.stringMatching(
        /"shared": expected a transient provider.*SharedWorker one, so remove @Injectable\(\)/,
      ),
    });
  });

  test('may be provided by a factory', async () => {
    const app = await startApplication({
      imports: [WorkerModule.forRoot(quiet)],
      providers: [
        Outbox,
        {
          provide: MailWorker,
          useFactory: (outbox: Outbox) => new MailWorker(outbox),
          inject: [Outbox],
          scope: Scope.TRANSIENT,
        },
      ],
    });
    await (
      await app.get(JobProcess).distributeWork('mail', 'a@example.org')
    ).completed;
    expect(app.get(Outbox).sent).toEqual(['a@example.org']);
    const factory = app.get(WorkerFactory);
    expect(await factory.create('mail')).not.toBe(await factory.create('mail'));
  });

  test('that a factory makes once for all are refused', async () => {
    const shared = new MailWorker(new Outbox());
    const compiled = compileApplication({
      imports: [WorkerModule.forRoot(quiet)],
      providers: [{ provide: MailWorker, useFactory: () => shared }],
    });
    await expect(compiled).rejects.toThrow(/"mail": expected a transient provider.*scope: Scope.TRANSIENT/);
  });

  test('are found behind a token of another name', async () => {
    const app = await startApplication({
      imports: [WorkerModule.forRoot(quiet)],
      providers: [Outbox, { provide: 'MAILER', useClass: MailWorker }],
    });
    await (
      await app.get(JobProcess).distributeWork('mail', 'a@example.org')
    ).completed;
    expect(app.get(Outbox).sent).toEqual(['a@example.org']);
  });
});

async function mailWith(adapt: Parameters<typeof startApplication>[1]) {
  const app = await startApplication(
    { imports: [WorkerModule.forRoot(quiet)], providers: [MailWorker, Outbox] },
    adapt,
  );
  const result = await (await app.get(JobProcess).distributeWork('mail', ['a@example.org'])).completed;
  expect(result.status).toBe('completed');
  expect(app.get(Outbox).sent).toEqual([]);
}

describe('overrideProvider of @nestjs/testing', () => {
  class FakeMailWorker extends Worker<string> {
    static readonly seen: string[] = [];
    override processItem(address: string) {
      FakeMailWorker.seen.push(address);
    }
  }

  test('puts another class in the place of a worker', async () => {
    FakeMailWorker.seen.length = 0;
    await mailWith((builder) => builder.overrideProvider(MailWorker).useClass(FakeMailWorker));
    expect(FakeMailWorker.seen).toEqual(['a@example.org']);
  });

  test('puts an instance in the place of a worker', async () => {
    FakeMailWorker.seen.length = 0;
    await mailWith((builder) => builder.overrideProvider(MailWorker).useValue(new FakeMailWorker()));
    expect(FakeMailWorker.seen).toEqual(['a@example.org']);
  });

  test('puts what a factory makes in the place of a worker', async () => {
    FakeMailWorker.seen.length = 0;
    await mailWith((builder) =>
      builder.overrideProvider(MailWorker).useFactory({ factory: () => new FakeMailWorker() }),
    );
    expect(FakeMailWorker.seen).toEqual(['a@example.org']);
  });

  test('puts a plain object with a mocked method in the place of a worker', async () => {
    const mock = { sent: [] as string[], processItem: (address: string) => void mock.sent.push(address) };
    await mailWith((builder) => builder.overrideProvider(MailWorker).useValue(mock));
    expect(mock.sent).toEqual(['a@example.org']);
  });
});

async function withLate(...providers: NonNullable<DynamicModule['providers']>) {
  return startApplication({
    imports: [WorkerModule.forRoot({ workers: { mail: { batchSize: 1 } } })],
    providers: [MailWorker, Outbox, ...providers],
  });
}

describe('WorkerFactory', () => {
  test('makes a fresh instance with its dependencies at each call', async () => {
    const app = await startApplication({
      imports: [WorkerModule.forRoot()],
      providers: [MailWorker, Outbox],
    });
    const factory = app.get(WorkerFactory);
    const first = (await factory.create('mail')) as MailWorker;
    const second = (await factory.create('mail')) as MailWorker;
    expect(first).toBeInstanceOf(MailWorker);
    expect(first).not.toBe(second);
    expect(first.outbox).toBe(app.get(Outbox));
    expect(second.outbox).toBe(app.get(Outbox));
  });

  test('names the known types where one is unknown', async () => {
    const app = await startApplication({
      imports: [WorkerModule.forRoot()],
      providers: [MailWorker, Outbox, ImportWorker],
    });
    await expect(app.get(WorkerFactory).create('male')).rejects.toMatchObject({
      code: 'UNKNOWN_WORKER_TYPE',
      message: 'Unknown worker type "male"; known types: mail, import',
    });
  });

  test('gives each place in the pool an instance of its own', async () => {
    const instances = new Set<unknown>();
    const held = gate();
    const all = gate();
    @WorkerType('slow', { scalingThreshold: 1 })
    class SlowWorker extends Worker {
      override processItem() {
        instances.add(this);
        if (instances.size === 3) all.open();
        return held.opened;
      }
    }
    const app = await startApplication({ imports: [WorkerModule.forRoot()], providers: [SlowWorker] });
    const job = await app.get(JobProcess).distributeWork('slow', [1, 2, 3]);
    await all.opened;
    held.open();
    await job.completed;
    expect(instances.size).toBe(3);
  });

  describe('register', () => {
    @Injectable({ scope: Scope.TRANSIENT })
    class LateWorker extends Worker<string> {
      constructor(private readonly outbox: Outbox) {
        super();
      }
      override processItem(text: string) {
        this.outbox.sent.push(text);
      }
    }

    test('takes a type that is known late, while the application runs', async () => {
      const app = await withLate(LateWorker);
      app.get(WorkerFactory).register('late', LateWorker, { maxConcurrency: 1 });
      const job = await app.get(JobProcess).distributeWork('late', ['x', 'y']);
      expect((await job.completed).done).toBe(2);
      expect(app.get(Outbox).sent).toEqual(['x', 'y']);
      expect(app.get(WorkerFactory).types).toEqual(['mail', 'late']);
    });

    test('takes a token that is no class together with the class', async () => {
      const app = await withLate({ provide: 'LATE', useClass: LateWorker, scope: Scope.TRANSIENT });
      expect(() => app.get(WorkerFactory).register('late', 'LATE')).toThrow(
        'Worker of type "late": expected the token to be the worker\'s class, or the class as options.worker; got the token "LATE"',
      );
      app.get(WorkerFactory).register('late', 'LATE', { worker: LateWorker });
      await (
        await app.get(JobProcess).distributeWork('late', 'x')
      ).completed;
      expect(app.get(Outbox).sent).toEqual(['x']);
    });

    test('refuses a provider that is not transient, and says how to make it so', async () => {
      @Injectable()
      class SingleWorker extends Worker {
        override processItem() {}
      }
      const app = await withLate(SingleWorker);
      expect(() => app.get(WorkerFactory).register('single', SingleWorker)).toThrow(
        /"single": expected a transient provider.*@Injectable\(\{ scope: Scope.TRANSIENT \}\)/,
      );
    });

    test('refuses a class that no module provides, a type that is taken, and wrong options', async () => {
      const app = await withLate();
      const factory = app.get(WorkerFactory);
      expect(() => factory.register('late', LateWorker)).toThrow(
        'Worker of type "late": expected the function LateWorker to be a provider of some module, but Nest knows none',
      );
      expect(() => factory.register('mail', MailWorker)).toThrow('Worker type "mail" is registered already');
      expect(() => factory.register('late', MailWorker, { batchSize: -1 })).toThrow('batchSize');
      expect(factory.types).toEqual(['mail']);
      expect(app.get(JobProcess).types).toEqual(['mail']);
    });
  });
});

describe('@InjectWorkerType', () => {
  test('injects a typed door to one type, in classes that are decorated after forRoot() ran as well', async () => {
    const workers = WorkerModule.forRoot(quiet);
    @Injectable()
    class Signup {
      constructor(@InjectWorkerType('mail') readonly mail: WorkerTypeDoor<string>) {}
    }
    @Module({ providers: [Signup] })
    class FeatureModule {
      @InjectWorkerType('import') readonly imports!: WorkerTypeDoor<number>;
    }
    const app = await startApplication({
      imports: [workers, FeatureModule],
      providers: [MailWorker, Outbox, ImportWorker],
    });
    const { mail } = app.get(Signup, { strict: false });
    expect(mail).toBe(app.get(getWorkerTypeToken('mail')));
    expect(app.get(FeatureModule).imports.type).toBe('import');

    const died = nextEvent(app, 'deadLetter');
    const job = await mail.distributeWork(['a@example.org', '']);
    await job.completed;
    expect((await died).type).toBe('mail');
    expect(mail.offer('b@example.org')).toBe(true);
    await mail.waitForCompletion();
    expect(mail.counts()).toMatchObject({ submitted: 3, completed: 2, dead: 1 });
    expect(mail.deadLetters()).toMatchObject([{ type: 'mail', payload: '', reason: 'unrecoverable' }]);

    mail.pause();
    expect(mail.redriveDeadLetters()).toBe(1);
    expect(mail.counts()).toMatchObject({ waiting: 1, dead: 0 });
    expect(mail.deadLetters()).toEqual([]);
    const diedAgain = nextEvent(app, 'deadLetter');
    mail.resume();
    await diedAgain;
    expect(mail.redriveDeadLetters([])).toBe(0);
    expect(mail.discardDeadLetters(['of another type'])).toBe(0);
    expect(mail.deadLetters()).toHaveLength(1);
    expect(mail.retryFailedItems()).toBe(0);
  });

  test('prints as the type that it is for, not as all that is behind it', async () => {
    @Injectable()
    class Signup {
      constructor(@InjectWorkerType('mail') readonly mail: WorkerTypeDoor<string>) {}
    }
    const app = await startApplication({
      imports: [WorkerModule.forRoot(quiet)],
      providers: [Signup, MailWorker, Outbox],
    });
    const { mail } = app.get(Signup);
    expect(inspect(mail)).toBe("WorkerTypeDoor { type: 'mail' }");
    expect(JSON.stringify(mail)).toBe('{"type":"mail"}');
  });

  test('can be replaced in tests of the class that it is injected into', async () => {
    @Injectable()
    class Signup {
      constructor(@InjectWorkerType('mail') readonly mail: WorkerTypeDoor<string>) {}
    }
    const distributeWork = jest.fn();
    const app = await startApplication({
      providers: [Signup, { provide: getWorkerTypeToken('mail'), useValue: { distributeWork } }],
    });
    await app.get(Signup).mail.distributeWork('x');
    expect(distributeWork).toHaveBeenCalledWith('x');
  });
});

describe('forRoot({ jobProcess })', () => {
  @Injectable()
  class Metrics {
    ended = 0;
  }
  @Global()
  @Module({ providers: [Metrics], exports: [Metrics] })
  class MetricsModule {}

  @Injectable()
  class MyJobProcess extends JobProcess {
    constructor(
      @Inject(JOB_PROCESS_SETUP) setup: JobProcessSetup,
      readonly metrics: Metrics,
    ) {
      super(setup);
    }
    finished(): number {
      return this.counts().completed;
    }
  }

  test('is injected as JobProcess, with dependencies and options of its own', async () => {
    const app = await startApplication({
      imports: [MetricsModule, WorkerModule.forRoot({ jobProcess: MyJobProcess, maxConcurrency: 3 })],
      providers: [MailWorker, Outbox],
    });
    const jobs = app.get(JobProcess);
    expect(jobs).toBeInstanceOf(MyJobProcess);
    expect((jobs as MyJobProcess).metrics).toBe(app.get(Metrics));
    expect(app.get(WorkerPool)).toBe(jobs.pool);
    expect(jobs.pool.maxConcurrency).toBe(3);
    await (
      await jobs.distributeWork('mail', 'a@example.org')
    ).completed;
    expect((jobs as MyJobProcess).finished()).toBe(1);
  });
});

test('two applications in one process share nothing', async () => {
  @WorkerType('mail')
  class OtherMailWorker extends Worker<string> {
    override processItem() {}
  }
  @CursorJob({ name: 'daily', worker: 'mail' })
  class Daily implements CursorSource {
    fetchPage() {
      return Promise.resolve({ items: ['x'], next: undefined });
    }
  }
  @Injectable()
  class Door {
    constructor(@InjectWorkerType('mail') readonly mail: WorkerTypeDoor<string>) {}
  }
  const first = await startApplication({
    imports: [WorkerModule.forRoot({ cursorCache: new MemoryCursorCache() })],
    providers: [MailWorker, Outbox, Daily, Door],
  });
  const second = await startApplication({
    imports: [WorkerModule.forRoot()],
    providers: [OtherMailWorker, ImportWorker, Door],
  });
  expect(first.get(JobProcess).types).toEqual(['mail']);
  expect(second.get(JobProcess).types).toEqual(['mail', 'import']);
  expect(second.get(JobProcess).cursorJobs).toEqual([]);

  await first.get(Door).mail.distributeWork(['a', 'b']);
  await first.get(Door).mail.waitForCompletion();
  expect(first.get(JobProcess).counts().submitted).toBe(2);
  expect(second.get(JobProcess).counts().submitted).toBe(0);
  expect(second.get(Door).mail.counts().submitted).toBe(0);

  await first.close();
  await (
    await second.get(Door).mail.distributeWork('c')
  ).completed;
  expect(second.get(JobProcess).counts('mail').completed).toBe(1);
});
