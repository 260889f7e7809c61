import { afterEach, describe, expect, test } from '@jest/globals';
import {
  Injectable,
  Logger,
  Module,
  Scope,
  type ModuleMetadata,
  type OnModuleInit,
  type Provider,
} from '@nestjs/common';
import { JobProcess, Worker, WorkerFactory, WorkerModule, WorkerType } from '../../../src/index.js';
import { silent, startApplication } from './applications.js';

class MailWorker extends Worker<string> {
  override processItem() {}
}

@WorkerType('mail')
class DecoratedWorker extends MailWorker {}

class DerivedWorker extends DecoratedWorker {}

afterEach(() => Logger.overrideLogger(['fatal']));

/** What the module warns of when such an application starts. */
async function warnings(providers: Provider[], metadata?: ModuleMetadata): Promise<string[]> {
  return (await startWatched(providers, metadata)).warned;
}

/** The application, and what the module warns of in it. */
async function startWatched(providers: Provider[], metadata: ModuleMetadata = {}) {
  const warned: string[] = [];
  const warn = (message: unknown, context: unknown) => {
    if (context === 'WorkerModule') warned.push(String(message));
  };
  const app = await startApplication(
    {
      providers,
      imports: [WorkerModule.forRoot({ reportIntervalMs: 0 }), ...(metadata.imports ?? [])],
    },
    (builder) => builder.setLogger({ ...silent, warn }),
  );
  return { app, warned };
}

const warningOf = (name: string) =>
  `${name} extends Worker, but is of no worker type: it gets no work until WorkerFactory.register('…', ${name}) is called. ` +
  `Decorate the class itself with @WorkerType('…') if that is not what is meant`;

describe('a provider that extends Worker is warned of', () => {
  test('when no decorator stands on it', async () => {
    expect(await warnings([MailWorker])).toEqual([warningOf('MailWorker')]);
  });

  test('when the decorator stands on the class that it extends only', async () => {
    expect(await warnings([DecoratedWorker, DerivedWorker])).toEqual([warningOf('DerivedWorker')]);
  });

  test('once, when several modules have it', async () => {
    @Module({ providers: [MailWorker] })
    class MailModule {}
    expect(await warnings([MailWorker], { imports: [MailModule] })).toEqual([warningOf('MailWorker')]);
  });

  test('by its class, when it has another token', async () => {
    expect(await warnings([{ provide: 'MAIL', useClass: MailWorker }])).toEqual([warningOf('MailWorker')]);
  });
});

test('a provider that was warned of gets work once it is registered, while the application runs', async () => {
  const mail = { provide: MailWorker, useClass: MailWorker, scope: Scope.TRANSIENT };
  const { app, warned } = await startWatched([mail]);
  app.get(WorkerFactory).register('late', MailWorker);
  const job = await app.get(JobProcess).distributeWork('late', ['a']);
  expect(await job.completed).toMatchObject({ status: 'completed', done: 1 });
  expect(warned).toEqual([warningOf('MailWorker')]);
});

describe('a provider that extends Worker is not warned of', () => {
  test.each<[string, Provider[]]>([
    ['when it is decorated', [DecoratedWorker]],
    ['when it has another token', [{ provide: 'MAIL', useClass: DecoratedWorker }]],
    [
      'when it takes the place of a decorated one',
      [{ provide: DecoratedWorker, useClass: MailWorker, scope: Scope.TRANSIENT }],
    ],
    [
      'when it is of a class that another provider is registered with',
      [
        { provide: 'MAIL', useClass: DecoratedWorker },
        { provide: 'LETTERS', useClass: DecoratedWorker },
      ],
    ],
    ['when it is another name', [DecoratedWorker, { provide: 'MAIL', useExisting: DecoratedWorker }]],
  ])('%s', async (_, providers) => {
    expect(await warnings(providers)).toEqual([]);
  });

  test.each<[string, Provider, (factory: WorkerFactory) => void]>([
    [
      'its class',
      { provide: MailWorker, useClass: MailWorker, scope: Scope.TRANSIENT },
      (factory) => factory.register('late', MailWorker),
    ],
    [
      'another token',
      { provide: 'MAIL', useClass: MailWorker, scope: Scope.TRANSIENT },
      (factory) => factory.register('late', 'MAIL', { worker: MailWorker }),
    ],
    [
      'another token, under the class that it extends',
      { provide: 'MAIL', useClass: class DeepWorker extends MailWorker {}, scope: Scope.TRANSIENT },
      (factory) => factory.register('late', 'MAIL', { worker: MailWorker }),
    ],
  ])('when it is registered by %s as the application starts', async (_, provider, register) => {
    @Injectable()
    class Registration implements OnModuleInit {
      constructor(private readonly factory: WorkerFactory) {}
      onModuleInit() {
        register(this.factory);
      }
    }
    expect(await warnings([provider, Registration])).toEqual([]);
  });
});
