import { describe, expect, jest, test } from '@jest/globals';
import { Injectable, Scope, type ModuleMetadata, type Type } from '@nestjs/common';
import { Cron, ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import {
  CursorJob,
  JobProcess,
  WorkerModule,
  type CursorJobOptions,
  type CursorJobSettings,
  type CursorSource,
  type WorkerModuleOptions,
} from '../../../src/index.js';
import { compileApplication, gate, nextEvent, startApplication } from './applications.js';
import { rowWork, RowWorker } from './row-work.js';

const workers = (options: WorkerModuleOptions = {}) =>
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
        rowWork.worked.push('completed');
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
    expect(rowWork.worked).toEqual(['a', 'b', 'c', 'completed']);
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

  test('has a time limit for its calls, of the decorator or of configuration', async () => {
    @CursorJob({ name: 'quotes', worker: 'rows', callTimeoutMs: 5 })
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
      error: { message: 'Cursor job "quotes": fetchPage passed its time limit, callTimeoutMs (5)' },
    });
    expect(await limited({ quotes: { callTimeoutMs: 10 } })).toMatchObject({
      error: { code: 'CURSOR_CALL_TIME_LIMIT', call: 'fetchPage', limitMs: 10 },
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
    expect(rowWork.worked).toEqual(items);
  });

  test('names everything that is wrong with it', async () => {
    // @ts-expect-error it has no fetchPage
    @CursorJob({ name: '', worker: 'row', pageSize: 0, callTimeoutMs: -1, corn: '*' } as CursorJobOptions)
    class Wrong {}
    await expect(compileApplication(application([Wrong]))).rejects.toThrow(
      '@CursorJob on Wrong: 6 wrong options: name: expected a text that is not empty, got ""; ' +
        'worker: expected a worker type (known: rows), got "row"; ' +
        'pageSize: expected a whole number of 1 or more, got 0; ' +
        'callTimeoutMs: expected milliseconds from 0 to 2147483647, got -1; ' +
        'corn: unknown option; expected one of name, worker, cron, timeZone, pageSize, callTimeoutMs; ' +
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
      expect(rowWork.worked).toEqual(['a', 'b', 'c', 'completed']);
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

    describe('that configuration switches off', () => {
      const off = { cursors: { quotes: { cron: false } } } as const;

      test('is not registered, and the job runs when asked to', async () => {
        @CursorJob({ name: 'other', worker: 'rows', cron: '0 0 1 1 *' })
        class Other implements CursorSource {
          fetchPage() {
            return Promise.resolve({ items: [], next: undefined });
          }
        }
        const app = await startApplication(
          application([quotes(yearly), Other], [workers(off), ScheduleModule.forRoot()]),
        );
        expect([...app.get(SchedulerRegistry).getCronJobs().keys()]).toEqual(['cursor-job:other']);
        const jobs = app.get(JobProcess);
        expect(jobs.cursorJobs).toEqual(['quotes', 'other']);
        const triggered = jobs.waitForTrigger('quotes');
        const run = jobs.processCursorData('quotes');
        expect(await triggered).toEqual({ name: 'quotes', cause: 'manual' });
        expect(await run.completed).toMatchObject({ status: 'completed', done: 3 });
      });

      test('needs no scheduler', async () => {
        const app = await startApplication(application([quotes(yearly)], [workers(off)]));
        expect(app.get(JobProcess).cursorJobs).toEqual(['quotes']);
      });

      test('may be switched off by the decorator, and on by configuration', async () => {
        const on = { cursors: { quotes: { cron: '0 0 2 1 *' } } };
        const app = await startApplication(
          application([quotes({ cron: false })], [workers(on), ScheduleModule.forRoot()]),
        );
        expect([...app.get(SchedulerRegistry).getCronJobs().keys()]).toEqual(['cursor-job:quotes']);
      });

      test.each([
        [true, 'true'],
        ['', '""'],
        [null, 'null'],
      ])('is switched off by false alone, and not by %j', async (cron, got) => {
        const settings = { quotes: { cron } } as unknown as Record<string, CursorJobSettings>;
        const imports = [workers({ cursors: settings })];
        await expect(compileApplication(application([quotes(yearly)], imports))).rejects.toThrow(
          `WorkerModule: cursors.quotes.cron: expected a cron expression, or false for none, got ${got}`,
        );
      });
    });

    test.each<[string, Partial<CursorJobOptions>, CursorJobSettings]>([
      ['the decorator', { timeZone: 'Europe/Berlin' }, {}],
      ['configuration', {}, { timeZone: 'Europe/Berlin' }],
    ])('that is missing where %s names a time zone fails the start', async (_, decorated, configured) => {
      const imports = [workers({ cursors: { quotes: configured } }), ScheduleModule.forRoot()];
      await expect(compileApplication(application([quotes(decorated)], imports))).rejects.toThrow(
        '@CursorJob on Quotes: timeZone: expected a cron with it, of @CursorJob or of forRoot({ cursors }), got "Europe/Berlin" alone',
      );
    });

    test('of configuration is in the time zone of the decorator', async () => {
      const imports = [workers({ cursors: { quotes: { cron: '0 0 1 1 *' } } }), ScheduleModule.forRoot()];
      const app = await startApplication(application([quotes({ timeZone: 'Europe/Berlin' })], imports));
      const cronJob = app.get(SchedulerRegistry).getCronJob('cursor-job:quotes');
      expect(cronJob.nextDate().toFormat('HH:mm ZZZZ')).toBe('00:00 GMT+1');
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
