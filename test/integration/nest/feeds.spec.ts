import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Injectable, Scope, type ModuleMetadata, type Type } from '@nestjs/common';
import { Cron, ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Redis } from 'ioredis';
import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import {
  connectRedisCursorCache,
  CursorJob,
  JobProcess,
  RedisCursorCache,
  Worker,
  WorkerModule,
  WorkerType,
  type CursorJobOptions,
  type CursorJobSettings,
  type CursorSource,
  type RowOutcome,
  type Upload,
  type UploadRunResult,
} from '../../../src/index.js';
import {
  getWorkerEntities,
  getWorkerMigrations,
  TypeOrmUploadStore,
  WorkerUpload,
  WorkerUploadRow,
} from '../../../src/typeorm.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { startRedisServer } from '../../support/redis-server.js';
import { createRedisNamespace, type RedisNamespace } from '../../support/redis.js';
import { until } from '../../support/until.js';
import {
  closeAtEnd,
  compileApplication,
  gate,
  nextEvent,
  startApplication,
  type Gate,
} from './applications.js';

jest.setTimeout(30_000);

/** What the worker does with the items of the running test. */
let handle: (item: unknown, attempt: number) => unknown;
let worked: unknown[];
beforeEach(() => {
  worked = [];
  handle = (item) => void worked.push(item);
});

@WorkerType('rows', { maxConcurrency: 1, retry: { limit: 1, backoffMs: 0 } })
class RowWorker extends Worker {
  override processItem(item: unknown, { attempt }: { attempt: number }) {
    return handle(item, attempt);
  }
}

const workers = (options: Parameters<typeof WorkerModule.forRoot>[0] = {}) =>
  WorkerModule.forRoot({ reportIntervalMs: 0, ...options });

describe('@CursorJob', () => {
  @Injectable()
  class Database {
    readonly quotes = ['a', 'b', 'c'];
  }

  function quotes(options: Partial<CursorJobOptions> = {}): Type<CursorSource> {
    @CursorJob({ name: 'quotes', worker: 'rows', pageSize: 2, ...options })
    class Quotes implements CursorSource<string, number> {
      constructor(private readonly database: Database) {}
      fetchPage(cursor = 0, limit: number) {
        const end = cursor + limit;
        const items = this.database.quotes.slice(cursor, end);
        return Promise.resolve({ items, next: end < this.database.quotes.length ? end : undefined });
      }
      onRunCompleted() {
        worked.push('completed');
      }
    }
    return Quotes;
  }

  const application = (
    source: ModuleMetadata['providers'],
    imports: ModuleMetadata['imports'] = [workers()],
  ) => ({
    imports,
    providers: [RowWorker, Database, ...source!],
  });

  test('makes a provider, with its dependencies, a source that is run on demand', async () => {
    const app = await startApplication(application([quotes()]));
    const jobs = app.get(JobProcess);
    expect(jobs.cursorJobs).toEqual(['quotes']);
    expect(await jobs.processCursorData('quotes').completed).toMatchObject({
      status: 'completed',
      pages: 2,
      done: 3,
    });
    expect(worked).toEqual(['a', 'b', 'c', 'completed']);
  });

  test('takes settings of configuration, which win over those of the decorator', async () => {
    const limits: number[] = [];
    @CursorJob({ name: 'quotes', worker: 'rows', pageSize: 2, cron: '0 0 1 1 *' })
    class Quotes implements CursorSource {
      fetchPage(_cursor: unknown, limit: number) {
        limits.push(limit);
        return Promise.resolve({ items: [], next: undefined });
      }
    }
    const cursors = { quotes: { pageSize: 7, cron: '0 0 2 1 *', timeZone: undefined } };
    const app = await startApplication(
      application([Quotes], [workers({ cursors }), ScheduleModule.forRoot()]),
    );
    await app.get(JobProcess).processCursorData('quotes').completed;
    expect(limits).toEqual([7]);
    expect(String(app.get(SchedulerRegistry).getCronJob('cursor-job:quotes').cronTime.source)).toBe(
      '0 0 2 1 *',
    );

    const misspelt = await compileApplication(application([Quotes], [workers({ cursors: { quote: {} } })]));
    await expect(misspelt.init()).rejects.toThrow(
      'WorkerModule: cursors.quote: expected the name of a cursor job (known: quotes), got "quote"',
    );
  });

  test('has a time limit for its pages, of the decorator or of configuration', async () => {
    @CursorJob({ name: 'quotes', worker: 'rows', fetchTimeoutMs: 5 })
    class Quotes implements CursorSource {
      fetchPage() {
        return new Promise<never>(() => undefined);
      }
    }
    const limited = async (cursors?: Record<string, CursorJobSettings>) => {
      const app = await startApplication(application([Quotes], [workers({ cursors })]));
      return app.get(JobProcess).processCursorData('quotes').completed;
    };
    expect(await limited()).toMatchObject({
      status: 'failed',
      error: { message: 'Cursor job "quotes": fetchPage passed its time limit, fetchTimeoutMs (5)' },
    });
    expect(await limited({ quotes: { fetchTimeoutMs: 10 } })).toMatchObject({
      error: { code: 'FETCH_TIME_LIMIT', fetchTimeoutMs: 10 },
    });
  });

  test.each([
    [
      'a value',
      (source: Type) => ({
        provide: source,
        useValue: { fetchPage: () => ({ items: ['v'], next: undefined }) },
      }),
      ['v'],
    ],
    [
      'a factory',
      (source: Type) => ({
        provide: source,
        useFactory: (db: Database) => new source(db),
        inject: [Database],
      }),
      ['a', 'b', 'c', 'completed'],
    ],
    [
      'another token',
      (source: Type) => ({ provide: 'QUOTES', useClass: source }),
      ['a', 'b', 'c', 'completed'],
    ],
  ])('may stand on a class that comes from %s', async (_, provide, items) => {
    const app = await startApplication(application([provide(quotes())]));
    await app.get(JobProcess).processCursorData('quotes').completed;
    expect(worked).toEqual(items);
  });

  test('names everything that is wrong with it', async () => {
    @CursorJob({ name: '', worker: 'row', pageSize: 0, fetchTimeoutMs: -1, corn: '*' } as CursorJobOptions)
    class Wrong {}
    await expect(compileApplication(application([Wrong]))).rejects.toThrow(
      '@CursorJob on Wrong: 6 wrong options: name: expected a text that is not empty, got ""; ' +
        'worker: expected a worker type (known: rows), got "row"; ' +
        'pageSize: expected a whole number of 1 or more, got 0; ' +
        'fetchTimeoutMs: expected milliseconds from 0 to 2147483647, got -1; ' +
        'corn: unknown option; expected one of name, worker, cron, timeZone, pageSize, fetchTimeoutMs; ' +
        'expected a method fetchPage(cursor, limit), got none',
    );
  });

  test.each([Scope.TRANSIENT, Scope.REQUEST])('refuses a provider of scope %i', async (scope) => {
    @Injectable({ scope })
    @CursorJob({ name: 'quotes', worker: 'rows' })
    class Quotes implements CursorSource {
      fetchPage() {
        return Promise.resolve({ items: [], next: undefined });
      }
    }
    await expect(compileApplication(application([Quotes]))).rejects.toThrow(
      '@CursorJob on Quotes: scope: expected a provider that lives as long as the application',
    );
  });

  test('refuses two jobs of one name', async () => {
    await expect(compileApplication(application([quotes(), quotes()]))).rejects.toThrow(
      'Cursor job "quotes" is registered already; its name is the key of its checkpoint',
    );
  });

  describe('with a cron', () => {
    const yearly = { cron: '0 0 1 1 *', timeZone: 'Europe/Berlin' };

    test('is registered in the scheduler of the application, and runs when it fires, until the application closes', async () => {
      const app = await startApplication(
        application([quotes(yearly)], [workers(), ScheduleModule.forRoot()]),
      );
      const cronJob = app.get(SchedulerRegistry).getCronJob('cursor-job:quotes');
      expect(cronJob.isActive).toBe(true);
      expect(cronJob.nextDate().toFormat('dd.MM. HH:mm ZZZZ')).toBe('01.01. 00:00 GMT+1');

      const ended = nextEvent(app, 'cursorRunEnded');
      await cronJob.fireOnTick();
      expect(await ended).toMatchObject({ name: 'quotes', cause: 'cron', status: 'completed', done: 3 });

      await app.close();
      expect(cronJob.isActive).toBe(false);
      // A tick that was due by then does nothing; cron prints what it throws.
      const printed = jest.spyOn(console, 'error').mockImplementation(() => undefined);
      await cronJob.fireOnTick();
      expect(printed).not.toHaveBeenCalled();
      printed.mockRestore();
      expect(worked).toEqual(['a', 'b', 'c', 'completed']);
    });

    test('leaves the crons of the application as they are: each fires once', async () => {
      const ticks: string[] = [];
      const twice = gate();
      @Injectable()
      class Host {
        @Cron('* * * * * *', { name: 'host' })
        tick() {
          ticks.push(new Date().toISOString().slice(0, 19));
          if (ticks.length === 2) twice.open();
        }
      }
      const app = await startApplication({
        imports: [ScheduleModule.forRoot(), workers()],
        providers: [RowWorker, Database, quotes(yearly), Host],
      });
      expect([...app.get(SchedulerRegistry).getCronJobs().keys()].toSorted()).toEqual([
        'cursor-job:quotes',
        'host',
      ]);
      await twice.opened;
      expect(new Set(ticks).size).toBe(2);
    });

    test('fails the start without a scheduler, and says what to add', async () => {
      const app = await compileApplication(application([quotes(yearly)]));
      await expect(app.init()).rejects.toThrow(
        'Cursor job "quotes": cron: "0 0 1 1 *" needs a scheduler; add ScheduleModule.forRoot() of @nestjs/schedule to the imports of your root module',
      );
    });

    test('needs no scheduler where no job has one', async () => {
      const app = await startApplication(application([quotes()]));
      expect(app.get(JobProcess).cursorJobs).toEqual(['quotes']);
    });

    test.each([
      [{ cron: 'every day' }, 'cron: expected a cron expression and a time zone that exist, got "every day"'],
      [
        { cron: '* * * * *', timeZone: 'Europe/Berlim' },
        'got "* * * * *" in "Europe/Berlim" (Invalid timezone.)',
      ],
    ])(
      'fails the start when it can not be read, and leaves no other one running: %j',
      async (settings, message) => {
        @CursorJob({ name: 'sound', worker: 'rows', cron: '* * * * *' })
        class Sound implements CursorSource {
          fetchPage() {
            return Promise.resolve({ items: [], next: undefined });
          }
        }
        // That no timer is left is for the leak check.
        const app = await compileApplication(
          application([Sound, quotes(settings)], [workers(), ScheduleModule.forRoot()]),
        );
        await expect(app.init()).rejects.toThrow(message);
        expect(app.get(SchedulerRegistry).getCronJobs().size).toBe(0);
      },
    );
  });
});

describe('RedisCursorCache', () => {
  let namespace: RedisNamespace;
  beforeEach(async () => {
    namespace = await createRedisNamespace();
    closeAtEnd(() => namespace.close());
  });

  test.each([
    ['a text'],
    [''],
    [0],
    [false],
    [null],
    [{ 'ключ "\u0000': ['\ud83d\ude00', 1.5, null] }],
    [[1]],
  ])('keeps %j under any name, until it is cleared', async (checkpoint) => {
    const cache = await connectRedisCursorCache(namespace.url);
    closeAtEnd(() => cache.close());
    for (const name of ['quotes', 'quotes:*', 'täglich "\n\u0000', '__proto__']) {
      expect(await cache.load(name)).toBeUndefined();
      await cache.save(name, checkpoint);
      expect(await cache.load(name)).toEqual(checkpoint);
      await cache.clear(name);
      expect(await cache.load(name)).toBeUndefined();
    }
  });

  test('uses the client and the prefix that it is given, and closes no client of somebody else', async () => {
    const redis = new Redis(namespace.url);
    closeAtEnd(() => redis.quit());
    const cache = new RedisCursorCache(redis, { keyPrefix: 'shop:' });
    await cache.save('quotes', 5);
    await cache.close();
    expect(await redis.get('shop:quotes')).toBe('5');
    expect(await redis.ttl('shop:quotes')).toBe(-1);
  });

  test('fails at once, and names the server without its password, when Redis does not answer', async () => {
    await expect(connectRedisCursorCache('redis://user:secret@127.0.0.1:1')).rejects.toThrow(
      /^Cursor cache: Redis does not answer at redis:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/,
    );
  });

  test('can be closed while Redis is down', async () => {
    const server = await startRedisServer();
    const cache = await connectRedisCursorCache(server.url);
    await cache.save('quotes', 5);
    expect(await cache.load('quotes')).toBe(5);
    await server.stop();
    await cache.close();
  });

  test('lets a job of a new process go on where the killed one was', async () => {
    const stuck = gate();
    @CursorJob({ name: 'numbers', worker: 'rows', pageSize: 2 })
    class Numbers implements CursorSource<number, number> {
      fetchPage(cursor = 0) {
        const next = cursor + 2;
        return Promise.resolve({ items: [cursor + 1, next], next: next < 8 ? next : undefined });
      }
    }
    const application = async () =>
      startApplication({
        imports: [
          WorkerModule.forRootAsync({
            useFactory: async () => ({
              shutdownTimeoutMs: 0,
              abortGraceMs: 0,
              reportIntervalMs: 0,
              cursorCache: await connectRedisCursorCache(namespace.url),
            }),
          }),
        ],
        providers: [RowWorker, Numbers],
      });
    const reached = gate();
    handle = (item) => {
      worked.push(item);
      if (item !== 4) return undefined;
      reached.open();
      return stuck.opened;
    };
    const first = await application();
    const run = first.get(JobProcess).processCursorData('numbers');
    await reached.opened;
    await first.close();
    expect(await run.completed).toMatchObject({ status: 'interrupted', pages: 1 });

    worked = [];
    handle = (item) => void worked.push(item);
    const second = await application();
    expect(await second.get(JobProcess).processCursorData('numbers').completed).toMatchObject({
      status: 'completed',
    });
    expect(worked).toEqual([3, 4, 5, 6, 7, 8]);
    stuck.open();
  });
});

async function processed(jobs: JobProcess, id: string): Promise<UploadRunResult> {
  return (await jobs.processUserUpload(id)).completed;
}

/** Rows up to `last`, and then the error if there is one. */
async function* numbered(last: number, error?: Error) {
  for (let number = 1; number <= last; number++) {
    if (number % 1_000 === 0) await Promise.resolve();
    yield { number };
  }
  if (error !== undefined) throw error;
}

const done = (number: number, attempts = 1): RowOutcome => ({ number, attempts, state: 'done' });
const failed = (number: number, error: string, attempts = 1): RowOutcome => ({
  number,
  attempts,
  state: 'failed',
  error,
});

describe('uploads', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let store: TypeOrmUploadStore;

  beforeAll(async () => {
    database = await createTestDatabase();
    dataSource = await new DataSource({
      type: 'postgres',
      url: database.url,
      entities: getWorkerEntities(),
      migrations: getWorkerMigrations(),
    }).initialize();
    await dataSource.runMigrations();
    store = new TypeOrmUploadStore(dataSource);
  });
  afterEach(() => dataSource.query('TRUNCATE worker_uploads, worker_upload_rows'));
  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  const rowsOf = (id: string) =>
    dataSource.getRepository(WorkerUploadRow).find({ where: { uploadId: id }, order: { number: 'ASC' } });
  const upload = (rows: Iterable<unknown> | AsyncIterable<unknown>, type = 'rows') =>
    store.receive({ name: 'users.csv', type }, rows);
  const application = (pageSize?: number) =>
    startApplication({
      imports: [
        TypeOrmModule.forRoot({
          type: 'postgres',
          url: database.url,
          entities: getWorkerEntities(),
          retryAttempts: 0,
        }),
        WorkerModule.forRootAsync({
          inject: [DataSource],
          useFactory: (own: DataSource) => ({
            reportIntervalMs: 0,
            shutdownTimeoutMs: 0,
            abortGraceMs: 0,
            uploads: { store: new TypeOrmUploadStore(own), pageSize },
          }),
        }),
      ],
      providers: [RowWorker],
    });
  test('have entities that say what the migrations made', async () => {
    expect((await dataSource.driver.createSchemaBuilder().log()).upQueries.map(({ query }) => query)).toEqual(
      [],
    );
    expect(getWorkerEntities()).toEqual([WorkerUpload, WorkerUploadRow]);
  });

  test('have migrations that can be undone', async () => {
    for (const _ of getWorkerMigrations()) await dataSource.undoLastMigration();
    expect(await dataSource.query("SELECT tablename FROM pg_tables WHERE tablename LIKE 'worker_%'")).toEqual(
      [],
    );
    await dataSource.runMigrations();
  });

  describe('are received', () => {
    test('row by row, as a source gives them', async () => {
      const received = await upload(numbered(2_500));
      expect(received).toEqual({
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        name: 'users.csv',
        type: 'rows',
        status: 'received',
        rows: 2_500,
        done: 0,
        failed: 0,
      });
      expect(await store.find(received.id)).toEqual(received);
      expect(await store.readPage(received.id, 999, 2)).toEqual([
        { number: 1_000, payload: { number: 1_000 } },
        { number: 1_001, payload: { number: 1_001 } },
      ]);
      expect(await store.readPage(received.id, 2_499, 5)).toHaveLength(1);
      expect(await store.readPage(received.id, 2_500, 5)).toEqual([]);
    });

    test('not at all when the source breaks off: nothing is left but the record', async () => {
      await expect(upload(numbered(1_500, new Error('connection reset')))).rejects.toThrow(
        'connection reset',
      );
      const [record] = await dataSource.getRepository(WorkerUpload).find();
      expect(record).toMatchObject({ status: 'aborted', rows: 0 });
      expect(await rowsOf(record!.id)).toEqual([]);
      const app = await application();
      await expect(app.get(JobProcess).processUserUpload(record!.id)).rejects.toMatchObject({
        code: 'UPLOAD_NOT_READY',
        message: expect.stringMatching(/expected one that was received in full, got one that is aborted/),
      });
    });

    test.each([
      ['undefined', undefined, 'Row 2: expected a JSON value, got undefined'],
      ['a function', () => 1, 'Row 2: expected a JSON value, got function'],
      ['a bigint', 5n, /BigInt/],
    ])('not at all when a row is no JSON: %s', async (_, row, message) => {
      await expect(upload([{ name: 'Ada' }, row])).rejects.toThrow(message);
      expect(await dataSource.getRepository(WorkerUploadRow).count()).toBe(0);
    });

    test('whatever texts and keys they have', async () => {
      const payloads = [
        { text: 'a\u0000b', 'key\u0000': 1 },
        'lone \ud800 surrogate',
        JSON.parse('{"__proto__": {"polluted": true}, "constructor": 5}') as unknown,
        null,
        0,
        '',
        [[], {}],
        '\ud83d\ude00 \u2028',
        1.7976931348623157e308,
      ];
      const { id } = await upload(payloads);
      const app = await application();
      expect(await processed(app.get(JobProcess), id)).toMatchObject({
        status: 'completed',
        done: payloads.length,
      });
      expect(worked).toEqual(payloads);
      expect(Object.hasOwn(worked[2] as object, '__proto__')).toBe(true);
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    });
  });

  describe('are worked off', () => {
    test('page by page, with an outcome for each row', async () => {
      const { id } = await upload(['a', 'flaky', 'bad', 'b', 'c']);
      handle = (item, attempt) => {
        worked.push(item);
        if (item === 'bad') throw new Error('no \u0000 such user');
        if (item === 'flaky' && attempt === 1) throw new Error('try again');
      };
      const app = await application(2);
      const ended = nextEvent(app, 'uploadEnded');
      const result = await processed(app.get(JobProcess), id);
      expect(result).toEqual({
        uploadId: id,
        status: 'completed-with-failures',
        rows: 5,
        done: 4,
        failed: 1,
        error: undefined,
      });
      expect(await ended).toEqual(result);
      expect((await rowsOf(id)).map(({ state, attempts, error }) => [state, attempts, error])).toEqual([
        ['done', 1, null],
        ['done', 2, null],
        ['failed', 2, 'no \ufffd such user'],
        ['done', 1, null],
        ['done', 1, null],
      ]);
      expect(await store.find(id)).toMatchObject({ status: 'completed-with-failures', done: 4, failed: 1 });
      expect(await dataSource.getRepository(WorkerUpload).findOneBy({ id })).toMatchObject({
        finishedAt: expect.any(Date),
      });
    });

    test('in the order of their numbers, all 10,000 of them', async () => {
      const { id } = await upload(Array.from({ length: 10_000 }, (_, index) => index));
      const app = await application();
      expect(await processed(app.get(JobProcess), id)).toMatchObject({ status: 'completed', rows: 10_000 });
      expect(worked).toEqual(Array.from({ length: 10_000 }, (_, index) => index));
      expect(await store.find(id)).toMatchObject({ status: 'completed', done: 10_000 });
    });

    test('when there are none', async () => {
      const { id } = await upload([]);
      const app = await application();
      expect(await processed(app.get(JobProcess), id)).toMatchObject({ status: 'completed', rows: 0 });
      expect(await store.find(id)).toMatchObject({ status: 'completed' });
    });

    test('once, however many ask at the same time', async () => {
      const { id } = await upload(['a', 'b']);
      const app = await application();
      const jobs = app.get(JobProcess);
      const runs = await Promise.all([jobs.processUserUpload(id), jobs.processUserUpload(id)]);
      expect(runs[0]).toBe(runs[1]);
      await runs[0].completed;
      expect(worked).toEqual(['a', 'b']);

      worked = [];
      expect(await processed(jobs, id)).toMatchObject({ status: 'completed', rows: 0 });
      expect(worked).toEqual([]);
    });

    test('while others are being received', async () => {
      const more = gate();
      const { id } = await upload(['a']);
      const receiving = upload(
        (async function* () {
          yield 'x';
          await more.opened;
          yield 'y';
        })(),
      );
      const app = await application();
      const jobs = app.get(JobProcess);
      expect(await processed(jobs, id)).toMatchObject({ status: 'completed' });
      const [incomplete] = await dataSource.getRepository(WorkerUpload).findBy({ status: 'receiving' });
      await expect(jobs.processUserUpload(incomplete!.id)).rejects.toThrow(/got one that is receiving/);
      more.open();
      const received = await receiving;
      expect(await processed(jobs, received.id)).toMatchObject({ status: 'completed', rows: 2 });
      expect(worked).toEqual(['a', 'x', 'y']);
    });

    test('with their progress, until they are cancelled: rows without an outcome wait for another run', async () => {
      const { id } = await upload(['a', 'b', 'c', 'd']);
      const reached = gate();
      const held = gate();
      handle = (item) => {
        worked.push(item);
        if (item !== 'c') return undefined;
        reached.open();
        return held.opened;
      };
      const app = await application(2);
      const jobs = app.get(JobProcess);
      const run = await jobs.processUserUpload(id);
      await reached.opened;
      expect(JSON.parse(JSON.stringify(run))).toEqual({ uploadId: id, total: 4, done: 2, failed: 0 });
      run.cancel();
      held.open();
      expect(await run.completed).toMatchObject({ status: 'cancelled', done: 3 });
      expect((await rowsOf(id)).map(({ state }) => state)).toEqual(['done', 'done', 'done', 'pending']);
      expect(await processed(jobs, id)).toMatchObject({ status: 'completed', rows: 1 });
      expect(worked).toEqual(['a', 'b', 'c', 'd']);
    });

    test('after an interruption: only the rows without an outcome', async () => {
      const { id } = await upload(['a', 'bad', 'c', 'd', 'e']);
      const reached = gate();
      const held: Gate = gate();
      handle = (item) => {
        worked.push(item);
        if (item === 'bad') throw new Error('bad');
        if (item !== 'd') return undefined;
        reached.open();
        return held.opened;
      };
      const first = await application(2);
      const run = await first.get(JobProcess).processUserUpload(id);
      await reached.opened;
      await first.close();
      expect(await run.completed).toMatchObject({ status: 'interrupted', done: 2, failed: 1 });
      expect(await store.find(id)).toMatchObject({ status: 'processing', done: 2, failed: 1 });
      await expect(first.get(JobProcess).processUserUpload(id)).rejects.toMatchObject({
        code: 'PROCESS_CLOSED',
      });

      held.open();
      worked = [];
      handle = (item) => void worked.push(item);
      const second = await application(2);
      expect(await processed(second.get(JobProcess), id)).toMatchObject({ rows: 2, done: 2, failed: 0 });
      expect(worked).toEqual(['d', 'e']);
      expect(await store.find(id)).toMatchObject({ status: 'completed-with-failures', done: 4, failed: 1 });
    });

    test('not when their worker type is unknown, and are left as they were', async () => {
      const { id } = await upload(['a'], 'row');
      const jobs = (await application()).get(JobProcess);
      await expect(jobs.processUserUpload(id)).rejects.toMatchObject({ code: 'UNKNOWN_WORKER_TYPE' });
      expect(await store.find(id)).toMatchObject({ status: 'received' });
      jobs.register('row', { processItem: (item) => void worked.push(item) });
      expect(await processed(jobs, id)).toMatchObject({ status: 'completed' });
      expect(worked).toEqual(['a']);
    });

    test('to their end when a dead letter is redriven, during the run and long after it', async () => {
      const { id } = await upload(['a', 'b', 'c', 'd']);
      const broken = new Set(['a', 'd']);
      const held = gate();
      const reached = gate();
      handle = (item) => {
        worked.push(item);
        if (broken.has(item as string)) throw new Error('bad');
        if (item !== 'c') return undefined;
        reached.open();
        return held.opened;
      };
      const app = await application(2);
      const jobs = app.get(JobProcess);
      const run = await jobs.processUserUpload(id);
      await reached.opened;
      expect(await store.find(id)).toMatchObject({ status: 'processing', done: 1, failed: 1 });
      broken.delete('a');
      jobs.redriveDeadLetters({ type: 'rows' });
      held.open();
      expect(await run.completed).toMatchObject({ status: 'completed-with-failures', done: 3, failed: 1 });
      expect(await store.find(id)).toMatchObject({ status: 'completed-with-failures', done: 3, failed: 1 });

      broken.clear();
      jobs.redriveDeadLetters({ type: 'rows' });
      // What was taken in by then is written before the end.
      await jobs.waitForCompletion();
      await app.close();
      expect(await store.find(id)).toMatchObject({ status: 'completed', done: 4, failed: 0 });
      expect((await rowsOf(id)).map(({ state, attempts, error }) => [state, attempts, error])).toEqual(
        Array.from({ length: 4 }, () => ['done', 1, null]),
      );
    });

    test('not when there is none of the id', async () => {
      const jobs = (await application()).get(JobProcess);
      for (const id of [
        randomUUID(),
        'users.csv',
        '',
        "'; DROP TABLE worker_uploads; --",
        undefined as never,
      ]) {
        await expect(jobs.processUserUpload(id)).rejects.toMatchObject({
          code: 'UNKNOWN_UPLOAD',
          uploadId: id,
        });
      }
    });

    test('not without a store', async () => {
      const app = await startApplication({ imports: [workers()], providers: [RowWorker] });
      await expect(app.get(JobProcess).processUserUpload(randomUUID())).rejects.toMatchObject({
        code: 'NO_UPLOAD_STORE',
        message: expect.stringMatching(/TypeOrmUploadStore of nestjs-background-worker\/typeorm/),
      });
    });
  });

  const statesOf = async (id: string) =>
    (await rowsOf(id)).map(({ state, attempts, error }) => [state, attempts, error]);

  test('count no outcome twice, and none of a row that there is not', async () => {
    const { id }: Upload = await upload(['a', 'b', 'c']);
    const outcomes = [done(1), failed(2, 'no', 2), done(9)];
    await store.start(id);
    await store.recordOutcomes(id, outcomes);
    await store.recordOutcomes(id, outcomes);
    await store.recordOutcomes(id, []);
    await store.recordOutcomes(randomUUID(), outcomes);
    expect(await store.find(id)).toMatchObject({ done: 1, failed: 1 });
    expect(await statesOf(id)).toEqual([
      ['done', 1, null],
      ['failed', 2, 'no'],
      ['pending', 0, null],
    ]);
    // One row has no outcome: the upload has not finished.
    expect(await store.finish(id)).toMatchObject({ status: 'processing' });
    expect(await dataSource.getRepository(WorkerUpload).findOneBy({ id })).toMatchObject({
      finishedAt: null,
    });
    await store.recordOutcomes(id, [failed(3, '')]);
    expect(await store.finish(id)).toMatchObject({ status: 'completed-with-failures', done: 1, failed: 2 });
  });

  test('count a row that failed as done when it is, and never the other way round', async () => {
    const { id } = await upload(['a', 'b']);
    await store.recordOutcomes(id, [failed(1, 'no'), failed(2, 'no')]);
    await store.recordOutcomes(id, [failed(1, 'not yet', 2)]);
    expect(await store.find(id)).toMatchObject({ done: 0, failed: 2 });
    expect(await statesOf(id)).toEqual([
      ['failed', 2, 'not yet'],
      ['failed', 1, 'no'],
    ]);
    for (let time = 0; time < 2; time++) await store.recordOutcomes(id, [done(1, 3)]);
    await store.recordOutcomes(id, [failed(1, 'no'), done(1, 5)]);
    expect(await statesOf(id)).toEqual([
      ['done', 3, null],
      ['failed', 1, 'no'],
    ]);
    expect(await store.finish(id)).toMatchObject({ status: 'completed-with-failures', done: 1, failed: 1 });
    await store.recordOutcomes(id, [done(2)]);
    expect(await store.finish(id)).toMatchObject({ status: 'completed', done: 2, failed: 0 });
  });

  /** Statements that wait for a lock, once there are so many. */
  const waitingForLocks = (count: number) =>
    until(
      async () => {
        const [answer] = await dataSource.query<{ waiting: number }[]>(
          `SELECT count(*)::int AS waiting FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return answer!.waiting;
      },
      (waiting) => waiting === count,
      10_000,
    );

  test.each<[string, RowOutcome[], RowOutcome[], { done: number; failed: number }]>([
    ['the same outcome', [done(1)], [done(1)], { done: 1, failed: 0 }],
    ['a failure that is overtaken', [done(1)], [failed(1, 'no')], { done: 1, failed: 0 }],
    ['a failure that is made good', [failed(1, 'no')], [done(1)], { done: 1, failed: 0 }],
    ['two failures', [failed(1, 'no')], [failed(1, 'no')], { done: 0, failed: 1 }],
  ])('count a row once of which two calls at once write %s', async (_, first, second, counts) => {
    const { id } = await upload(['a']);
    const holder = dataSource.createQueryRunner();
    await holder.startTransaction();
    await holder.query('SELECT FROM worker_upload_rows FOR UPDATE');
    const writing = [store.recordOutcomes(id, first)];
    expect(await waitingForLocks(1)).toBe(1);
    writing.push(store.recordOutcomes(id, second));
    expect(await waitingForLocks(2)).toBe(2);
    await holder.commitTransaction();
    await holder.release();
    await Promise.all(writing);
    expect(await store.find(id)).toMatchObject(counts);
    const states = await dataSource.getRepository(WorkerUploadRow).find();
    expect(states.map(({ state }) => state)).toEqual([counts.done === 1 ? 'done' : 'failed']);
  });

  test('count each row once, however many write it at the same time, and lock nothing crosswise', async () => {
    const numbers = Array.from({ length: 200 }, (_, index) => index + 1);
    const { id } = await upload(numbers);
    const writeAtOnce = (...calls: RowOutcome[][]) =>
      Promise.all(
        calls.flatMap((call) => [call, call.toReversed()]).map((call) => store.recordOutcomes(id, call)),
      );
    for (let round = 0; round < 5; round++) {
      await dataSource.query("UPDATE worker_upload_rows SET state = 'pending'");
      await dataSource.query('UPDATE worker_uploads SET done = 0, failed = 0');
      await writeAtOnce(
        numbers.map((number) => failed(number, 'no')),
        numbers.filter((number) => number % 2 === 0).map((number) => done(number)),
        numbers.filter((number) => number % 3 === 0).map((number) => done(number)),
      );
      expect(await store.find(id)).toMatchObject({ done: 133, failed: 67 });
      expect(await dataSource.getRepository(WorkerUploadRow).countBy({ state: 'done' })).toBe(133);
      await writeAtOnce(
        numbers.map((number) => done(number)),
        numbers.map((number) => done(number)),
      );
      expect(await store.finish(id)).toMatchObject({ status: 'completed', done: 200, failed: 0 });
    }
  });
});
