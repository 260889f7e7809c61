import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import {
  Controller,
  Inject,
  Injectable,
  type DynamicModule,
  type ModuleMetadata,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { ClientsModule, MessagePattern, Transport, type ClientProxy } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import { lastValueFrom } from 'rxjs';
import { DataSource } from 'typeorm';
import {
  closeWithWorkers,
  InvalidOptionsError,
  JobProcess,
  MessageJob,
  Worker,
  WorkerModule,
  WorkerPool,
  WorkerType,
  type UnfinishedItem,
} from '../../../src/index.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { freePort } from '../../support/free-port.js';
import { until } from '../../support/until.js';
import {
  closeAtEnd,
  compileApplication,
  gate,
  nextEvent,
  silent,
  startApplication,
  type Gate,
} from './applications.js';

const workers = () => WorkerModule.forRoot({ reportIntervalMs: 0 });

describe('when the application closes', () => {
  let database: TestDatabase;
  let observer: DataSource;
  let port: number;
  const notified: string[] = [];

  @Controller()
  class Notifications {
    @MessagePattern('notify')
    notify(item: string) {
      notified.push(item);
      return 'noted';
    }
  }

  beforeAll(async () => {
    database = await createTestDatabase();
    observer = await new DataSource({ type: 'postgres', url: database.url }).initialize();
    await observer.query('CREATE TABLE done (item text, outcome text)');
  });
  beforeEach(async () => {
    await observer.query('TRUNCATE done');
    notified.length = 0;
    port = await freePort();
    const compiled = await Test.createTestingModule({ controllers: [Notifications] })
      .setLogger(silent)
      .compile();
    const receiver = compiled.createNestMicroservice({
      transport: Transport.TCP,
      options: { host: '127.0.0.1', port },
    });
    closeAtEnd(() => receiver.close());
    await receiver.listen();
  });
  afterAll(async () => {
    await observer.destroy();
    await database.drop();
  });

  /** Holds what runs until the test lets it go. */
  let held: Gate;

  @WorkerType('store', { maxConcurrency: 1, timeoutMs: 0 })
  class StoringWorker extends Worker<string> {
    constructor(
      private readonly dataSource: DataSource,
      @Inject('NOTIFICATIONS') private readonly client: ClientProxy,
    ) {
      super();
    }
    override async processItem(item: string) {
      await held.opened;
      const answer = await lastValueFrom(this.client.send<string>('notify', item));
      await this.dataSource.query('INSERT INTO done VALUES ($1, $2)', [item, answer]);
    }
  }

  const typeOrm = () => TypeOrmModule.forRoot({ type: 'postgres', url: database.url, retryAttempts: 0 });
  const clients = () =>
    ClientsModule.register({
      isGlobal: true,
      clients: [{ name: 'NOTIFICATIONS', transport: Transport.TCP, options: { host: '127.0.0.1', port } }],
    });
  const feature = (imports: ModuleMetadata['imports'] = []): DynamicModule => {
    class FeatureModule {}
    return { module: FeatureModule, imports, providers: [StoringWorker] };
  };

  test.each<[string, () => ModuleMetadata]>([
    [
      'before the connections',
      () => ({ imports: [workers(), typeOrm(), clients()], providers: [StoringWorker] }),
    ],
    [
      'after the connections',
      () => ({ imports: [typeOrm(), clients(), workers()], providers: [StoringWorker] }),
    ],
    [
      'with the worker in a feature module that comes first',
      () => ({ imports: [feature(), workers(), clients(), typeOrm()] }),
    ],
    [
      'with the worker in a feature module that comes last',
      () => ({ imports: [clients(), typeOrm(), workers(), feature()] }),
    ],
    ['with all of it in a feature module', () => ({ imports: [feature([typeOrm(), clients(), workers()])] })],
  ])('running and waiting work is finished first; WorkerModule imported %s', async (_, metadata) => {
    held = gate();
    const app = await startApplication(metadata());
    const jobs = app.get(JobProcess);
    const started = nextEvent(app, 'scaled');
    const job = await jobs.distributeWork('store', ['a', 'b', 'c']);
    await started;

    const closed = app.close();
    await until(async () => jobs.isClosed, Boolean, 5_000);
    await expect(jobs.distributeWork('store', 'late')).rejects.toMatchObject({ code: 'PROCESS_CLOSED' });
    held.open();
    await closed;

    expect(await job.completed).toMatchObject({ status: 'completed', done: 3 });
    expect(notified).toEqual(['a', 'b', 'c']);
    expect(await observer.query('SELECT * FROM done ORDER BY item')).toEqual([
      { item: 'a', outcome: 'noted' },
      { item: 'b', outcome: 'noted' },
      { item: 'c', outcome: 'noted' },
    ]);
  });

  test('what can not be finished in time goes to onUnfinished, which can still store it', async () => {
    held = gate();
    closeAtEnd(async () => held.open());
    const app = await startApplication({
      imports: [
        clients(),
        typeOrm(),
        WorkerModule.forRootAsync({
          inject: [DataSource],
          useFactory: (dataSource: DataSource) => ({
            shutdownTimeoutMs: 10,
            abortGraceMs: 10,
            onUnfinished: async (items: readonly UnfinishedItem[]) => {
              for (const { payload, attempts } of items) {
                await dataSource.query('INSERT INTO done VALUES ($1, $2)', [
                  payload,
                  `unfinished after ${attempts}`,
                ]);
              }
            },
          }),
        }),
      ],
      providers: [StoringWorker],
    });
    const started = nextEvent(app, 'scaled');
    const job = await app.get(JobProcess).distributeWork('store', ['a', 'b']);
    await started;
    await app.close();
    expect(await observer.query('SELECT * FROM done ORDER BY item')).toEqual([
      { item: 'a', outcome: 'unfinished after 0' },
      { item: 'b', outcome: 'unfinished after 0' },
    ]);
    expect(await job.completed).toMatchObject({ status: 'interrupted', handedBack: 2 });
  });
});

const listeners = () => process.listenerCount('SIGTERM');
const bothListeners = () => [listeners(), process.listenerCount('SIGHUP')] as const;

describe('closeWithWorkers', () => {
  test.each<[string, ModuleMetadata]>([
    ['an application', { imports: [workers()] }],
    ['an application without WorkerModule', {}],
  ])('listens for signals no longer when %s was closed without one', async (_, metadata) => {
    const before = listeners();
    const app = await startApplication(metadata);
    closeWithWorkers(app, { signals: ['SIGTERM'] });
    expect(listeners()).toBe(before + 1);
    await app.close();
    expect(listeners()).toBe(before);
  });

  test('listens for the signals of the other applications when one was closed', async () => {
    const before = listeners();
    const [first, last] = [await startApplication({}), await startApplication({})];
    closeWithWorkers(first, { signals: ['SIGTERM'] });
    closeWithWorkers(last, { signals: ['SIGTERM'] });
    await first.close();
    expect(listeners()).toBe(before + 1);
    await last.close();
    expect(listeners()).toBe(before);
  });

  test('listens once to each signal, as Node warns of many listeners, until none of the applications wants it', async () => {
    const [terminated, hungUp] = bothListeners();
    const both = await startApplication({});
    closeWithWorkers(both, { signals: ['SIGTERM', 'SIGHUP'] });
    const others = await Promise.all(Array.from({ length: 11 }, () => startApplication({})));
    for (const app of others) closeWithWorkers(app, { signals: ['SIGTERM'] });
    expect(bothListeners()).toEqual([terminated + 1, hungUp + 1]);
    await both.close();
    expect(bothListeners()).toEqual([terminated + 1, hungUp]);
    for (const app of others) await app.close();
    expect(bothListeners()).toEqual([terminated, hungUp]);
  });

  test('listens until all modules have closed, the last of them too', async () => {
    const counts: number[] = [];
    class Late implements OnApplicationShutdown {
      onApplicationShutdown() {
        counts.push(listeners());
      }
    }
    class LateModule extends Late {}
    const global: DynamicModule = { module: LateModule, global: true, providers: [Late] };
    const app = await startApplication({
      imports: [{ module: class FeatureModule {}, imports: [global], providers: [Late] }],
    });
    const before = listeners();
    closeWithWorkers(app, { signals: ['SIGTERM'] });
    await app.close();
    expect(counts).toEqual([before + 1, before + 1, before + 1]);
  });

  test('refuses an application whose shutdown hooks are enabled at one of its signals, and leaves them as they are', async () => {
    const app = await startApplication({ imports: [workers()] });
    app.enableShutdownHooks(['SIGINT']);
    const before = [listeners(), process.listenerCount('SIGINT')];
    expect(() => closeWithWorkers(app)).toThrow(
      new InvalidOptionsError('closeWithWorkers()', [
        'expected an application without shutdown hooks, got one that has them at SIGINT; remove ' +
          'app.enableShutdownHooks(), as they would close it while work still needs it',
      ]),
    );
    expect([listeners(), process.listenerCount('SIGINT')]).toEqual(before);
  });

  test('takes one whose shutdown hooks are enabled at other signals', async () => {
    const app = await startApplication({ imports: [workers()] });
    app.enableShutdownHooks(['SIGHUP']);
    const before = listeners();
    closeWithWorkers(app);
    expect(listeners()).toBe(before + 1);
    expect(process.listenerCount('SIGHUP')).toBe(1);
  });

  test('switches off shutdown hooks that are enabled later', async () => {
    const app = await startApplication({ imports: [workers()] });
    closeWithWorkers(app, { signals: ['SIGTERM', 'SIGTERM'] });
    const before = listeners();
    app.enableShutdownHooks(['SIGTERM']);
    expect(listeners()).toBe(before);
  });

  test('refuses the same application again', async () => {
    const app = await startApplication({ imports: [workers()] });
    closeWithWorkers(app);
    const before = listeners();
    expect(() => closeWithWorkers(app)).toThrow(
      new InvalidOptionsError('closeWithWorkers()', ['expected an application once, got the same one again']),
    );
    expect(listeners()).toBe(before);
  });
});

describe('before the application has started', () => {
  const trace: string[] = [];
  beforeEach(() => void (trace.length = 0));

  @WorkerType('traced', { minWorkers: 1 })
  class TracedWorker extends Worker<string> {
    override onStart() {
      trace.push('worker starts');
    }
    override processItem(item: string) {
      trace.push(`worker takes ${item}`);
    }
  }

  test('jobs are kept, and no worker starts until onApplicationBootstrap', async () => {
    @Injectable()
    class Early implements OnModuleInit, OnApplicationBootstrap {
      constructor(
        private readonly jobs: JobProcess,
        private readonly pool: WorkerPool,
      ) {}
      async onModuleInit() {
        await this.jobs.distributeWork('traced', ['a', 'b']);
        expect(this.jobs.offer('traced', 'c')).toBe(true);
        for (let turn = 0; turn < 5; turn++) await nextTurn();
        trace.push(`init: ${this.jobs.counts().waiting} wait, ${this.pool.workerCount()} workers`);
      }
      onApplicationBootstrap() {
        trace.push(`bootstrap: ${this.pool.workerCount()} workers`);
      }
    }
    const app = await startApplication({
      providers: [Early, TracedWorker],
      imports: [WorkerModule.forRoot({ maxConcurrency: 1 })],
    });
    await app.get(JobProcess).waitForCompletion();
    expect(trace.filter((line) => !line.startsWith('bootstrap'))).toEqual([
      'init: 3 wait, 0 workers',
      'worker starts',
      'worker takes a',
      'worker takes b',
      'worker takes c',
    ]);
  });

  test('messages are kept, and worked on afterwards', async () => {
    @Injectable()
    class Handlers {
      @MessageJob('x', { worker: 'traced', acknowledge: 'stored' })
      toItems(item: string) {
        return item;
      }
    }
    const options = {
      transport: Transport.TCP,
      options: { host: '127.0.0.1', port: await freePort() },
    } as const;
    const compiled = await compileApplication({
      imports: [WorkerModule.forRoot(), ClientsModule.register([{ name: 'SELF', ...options }])],
      providers: [TracedWorker, Handlers],
    });
    const app = compiled.createNestApplication();
    closeAtEnd(() => app.close());
    app.connectMicroservice(options);
    await app.startAllMicroservices();
    const client = app.get<ClientProxy>('SELF', { strict: false });
    expect(await lastValueFrom(client.send('x', 'early'))).toMatchObject({ items: 1 });
    for (let turn = 0; turn < 5; turn++) await nextTurn();
    expect(trace).toEqual([]);
    expect(app.get(JobProcess).counts().waiting).toBe(1);

    await app.init();
    await app.get(JobProcess).waitForCompletion();
    expect(trace).toEqual(['worker starts', 'worker takes early']);
  });

  test('an application that never starts hands back what it holds when it closes', async () => {
    const onUnfinished = jest.fn<(items: readonly UnfinishedItem[]) => void>();
    const app = await compileApplication({
      imports: [WorkerModule.forRoot({ onUnfinished })],
      providers: [TracedWorker],
    });
    await app.get(JobProcess).distributeWork('traced', ['a', 'b']);
    await app.close();
    expect(onUnfinished.mock.calls.map(([items]) => items.map(({ payload }) => payload))).toEqual([
      ['a', 'b'],
    ]);
    expect(trace).toEqual([]);
  });

  test('a start that fails leaves an application that can be closed', async () => {
    @Injectable()
    class Failing implements OnApplicationBootstrap {
      onApplicationBootstrap() {
        throw new Error('no database');
      }
    }
    const onUnfinished = jest.fn<(items: readonly UnfinishedItem[]) => void>();
    const app = await compileApplication({
      imports: [WorkerModule.forRoot({ onUnfinished })],
      providers: [TracedWorker, Failing],
    });
    await app.get(JobProcess).distributeWork('traced', 'a');
    await expect(app.init()).rejects.toThrow('no database');
    await app.close();
    const { completed, handedBack } = app.get(JobProcess).counts();
    expect(completed + handedBack).toBe(1);
    expect(onUnfinished).toHaveBeenCalledTimes(handedBack);
  });
});

test('closing without any work waits for nothing', async () => {
  @WorkerType('idle', { minWorkers: 2 })
  class IdleWorker extends Worker {
    static stopped = 0;
    override processItem() {}
    override onStop() {
      IdleWorker.stopped++;
    }
  }
  const app = await startApplication({
    imports: [WorkerModule.forRoot({ shutdownTimeoutMs: 3_600_000, abortGraceMs: 3_600_000 })],
    providers: [IdleWorker],
  });
  await (
    await app.get(JobProcess).distributeWork('idle', 1)
  ).completed;
  await app.close();
  expect(app.get(WorkerPool).workerCount()).toBe(0);
  expect(IdleWorker.stopped).toBe(2);
});

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
