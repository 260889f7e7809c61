import { describe, expect, test } from '@jest/globals';
import { Global, Inject, Injectable, Module } from '@nestjs/common';
import {
  CursorJob,
  InjectWorkerType,
  JOB_PROCESS_SETUP,
  JobProcess,
  MemoryCursorCache,
  Worker,
  WorkerFactory,
  WorkerModule,
  WorkerPool,
  WorkerType,
  WorkerTypeDoor,
  type CursorSource,
  type JobProcessSetup,
} from '../../../src/index.js';
import { compileApplication, gate, nextEvent, startApplication } from './applications.js';
import { ImportWorker, MailWorker, Outbox, quiet } from './example-workers.js';

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

  test('is injected as what it is, too', async () => {
    @Injectable()
    class Reports {
      constructor(readonly jobs: MyJobProcess) {}
    }
    const app = await startApplication({
      imports: [MetricsModule, WorkerModule.forRoot({ jobProcess: MyJobProcess })],
      providers: [Reports],
    });
    expect(app.get(Reports).jobs).toBe(app.get(JobProcess));
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
