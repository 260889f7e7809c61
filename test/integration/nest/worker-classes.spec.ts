import { describe, expect, test } from '@jest/globals';
import { Injectable, Module, Scope, type Type } from '@nestjs/common';
import { JobProcess, Worker, WorkerFactory, WorkerModule, WorkerType } from '../../../src/index.js';
import { compileApplication, startApplication } from './applications.js';
import { ImportWorker, MailWorker, Outbox, quiet } from './example-workers.js';

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
    // @ts-expect-error it does not extend Worker
    @WorkerType('loose')
    class LooseWorker {
      processItem() {}
    }
    expect(await refusalOf(LooseWorker)).toMatchObject({
      code: 'INVALID_WORKER',
      message:
        'Worker of type "loose": expected worker to be a class that extends Worker, got the class LooseWorker',
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
