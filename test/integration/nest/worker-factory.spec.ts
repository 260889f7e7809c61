import { describe, expect, test } from '@jest/globals';
import { Injectable, Scope, type DynamicModule } from '@nestjs/common';
import { JobProcess, Worker, WorkerFactory, WorkerModule, WorkerType } from '../../../src/index.js';
import { gate, startApplication } from './applications.js';
import { ImportWorker, MailWorker, Outbox } from './example-workers.js';

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

    describe('refuses', () => {
      const token =
        "expected the token to be the worker's class, or the class as options.worker; got the token";

      test.each<[string, unknown[], string]>([
        [
          'no type',
          [undefined, LateWorker],
          'Worker of type undefined: expected a type name that is not empty',
        ],
        [
          'a class in place of the type',
          [LateWorker],
          'Worker of type the class LateWorker: expected a type name that is not empty, got the class LateWorker',
        ],
        ['no token', ['late'], `Worker of type "late": ${token} undefined`],
        ['a token that is null', ['late', null], `Worker of type "late": ${token} null`],
        ['a token that is an object', ['late', {}], `Worker of type "late": ${token} an object`],
        [
          'a worker that is no class',
          ['late', 'LATE', { worker: 5 }],
          `Worker of type "late": ${token} "LATE" and options.worker 5`,
        ],
      ])('%s', async (_, given, message) => {
        const app = await withLate(LateWorker);
        const register = (...args: unknown[]) =>
          app.get(WorkerFactory).register(...(args as Parameters<WorkerFactory['register']>));
        expect(() => register(...given)).toThrow(
          expect.objectContaining({ code: 'INVALID_WORKER', message: expect.stringContaining(message) }),
        );
        expect(app.get(JobProcess).types).toEqual(['mail']);
      });

      test('options that are null', async () => {
        const app = await withLate(LateWorker);
        const options = null as unknown as object;
        expect(() => app.get(WorkerFactory).register('late', LateWorker, options)).toThrow(
          expect.objectContaining({
            code: 'INVALID_OPTIONS',
            message: 'Worker type "late": options: expected an object, got null',
          }),
        );
      });

      test('a class without methods, and one that is no worker', async () => {
        @Injectable({ scope: Scope.TRANSIENT })
        class EmptyWorker extends Worker {}
        @Injectable({ scope: Scope.TRANSIENT })
        class Other {}
        const app = await withLate(EmptyWorker, Other);
        const factory = app.get(WorkerFactory);
        expect(() => factory.register('late', EmptyWorker)).toThrow(
          'Worker of type "late": expected a method processItem(payload, context) or processBatch(payloads, context), got neither',
        );
        expect(() => factory.register('late', Other)).toThrow(
          'Worker of type "late": expected worker to be a class that extends Worker, got the class Other',
        );
      });
    });

    test('refuses a class that no module provides, a type that is taken, and wrong options', async () => {
      const app = await withLate();
      const factory = app.get(WorkerFactory);
      expect(() => factory.register('late', LateWorker)).toThrow(
        'Worker of type "late": expected the class LateWorker to be a provider of some module, but Nest knows none',
      );
      expect(() => factory.register('mail', MailWorker)).toThrow('Worker type "mail" is registered already');
      expect(() => factory.register('late', MailWorker, { batchSize: -1 })).toThrow('batchSize');
      expect(factory.types).toEqual(['mail']);
      expect(app.get(JobProcess).types).toEqual(['mail']);
    });
  });
});
