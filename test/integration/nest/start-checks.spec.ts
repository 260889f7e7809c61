import { describe, expect, test } from '@jest/globals';
import {
  Controller,
  Injectable,
  Module,
  UseGuards,
  type CanActivate,
  type DynamicModule,
  type ModuleMetadata,
  type OnModuleInit,
  Scope,
} from '@nestjs/common';
import {
  CursorJob,
  getWorkerTypeToken,
  InjectWorkerType,
  JobProcess,
  Worker,
  WorkerFactory,
  WorkerModule,
  WorkerType,
  type WorkerTypeDoor,
} from '../../../src/index.js';
import { startApplication } from './applications.js';

@WorkerType('mail')
class MailWorker extends Worker {
  static handled = 0;
  override processItem() {
    MailWorker.handled++;
  }
}

async function refusal(metadata: ModuleMetadata): Promise<string> {
  return startApplication({ ...metadata, providers: [MailWorker, ...(metadata.providers ?? [])] }).then(
    () => 'started',
    (error: Error) => `${error.name}: ${error.message}`,
  );
}

/** A module that imports `workers`. */
function featureWith(workers: DynamicModule | typeof WorkerModule): DynamicModule {
  class FeatureModule {}
  return { module: FeatureModule, imports: [workers] };
}

const once = (count: number) =>
  `InvalidOptionsError: WorkerModule: expected one in an application, got ${count}; import it once, in your root module, ` +
  'as all other modules can inject what it provides (with isGlobal: false, keep what forRoot() returns in a constant, and import that)';

const asynchronous = () => WorkerModule.forRootAsync({ useFactory: () => ({ maxConcurrency: 3 }) });

describe('WorkerModule is refused', () => {
  test.each<[string, () => DynamicModule, () => DynamicModule]>([
    ['the same options', () => WorkerModule.forRoot(), () => WorkerModule.forRoot()],
    ['other options', () => WorkerModule.forRoot(), () => WorkerModule.forRoot({ maxConcurrency: 3 })],
    ['options from a factory', () => WorkerModule.forRoot(), asynchronous],
    ['options from a factory twice', asynchronous, asynchronous],
    [
      'options of its own in a module that is not global',
      () => WorkerModule.forRoot({ isGlobal: false }),
      () => WorkerModule.forRoot({ isGlobal: false }),
    ],
  ])('when it is imported a second time with %s', async (_, first, second) => {
    expect(await refusal({ imports: [first(), featureWith(second())] })).toBe(once(2));
  });

  test('when a class that extends it is imported as well', async () => {
    @Module({})
    class OurWorkers extends WorkerModule {}
    expect(await refusal({ imports: [WorkerModule.forRoot(), OurWorkers.forRoot()] })).toBe(once(2));
  });

  test('when the class alone is imported, by itself or as well', async () => {
    expect(await refusal({ imports: [WorkerModule] })).toBe(
      'InvalidOptionsError: WorkerModule: expected WorkerModule.forRoot() or WorkerModule.forRootAsync() among the imports, ' +
        'got the class alone',
    );
    expect(await refusal({ imports: [WorkerModule.forRoot(), featureWith(WorkerModule)] })).toBe(once(2));
  });
});

test('one dynamic module may be imported in several places', async () => {
  const workers = WorkerModule.forRoot({ isGlobal: false });
  MailWorker.handled = 0;
  const app = await startApplication({
    imports: [featureWith(workers), featureWith(workers), workers],
    providers: [MailWorker],
  });
  const job = await app.get(JobProcess).distributeWork('mail', [1, 2]);
  expect((await job.completed).done).toBe(2);
  expect(MailWorker.handled).toBe(2);
});

/** Makes a class with a door to `type`. */
function injecting(type: string) {
  @Injectable()
  class Signup {
    constructor(@InjectWorkerType(type) readonly door: WorkerTypeDoor) {}
  }
  return Signup;
}

const typo = (into: string, got = 'male') =>
  `InvalidOptionsError: @InjectWorkerType: ${into}: expected a worker type (known: mail), got "${got}"`;

const start = (metadata: ModuleMetadata) =>
  refusal({ ...metadata, imports: [WorkerModule.forRoot(), ...(metadata.imports ?? [])] });

describe('a door to an unknown type is refused', () => {
  test('in the constructor of a provider', async () => {
    expect(await start({ providers: [injecting('male')] })).toBe(typo('Signup'));
  });

  test('in a property of a controller', async () => {
    @Controller()
    class UsersController {
      @InjectWorkerType('male') readonly door!: WorkerTypeDoor;
    }
    expect(await start({ controllers: [UsersController] })).toBe(typo('UsersController'));
  });

  test('in a module class, and where the class inherits it', async () => {
    class Base {
      @InjectWorkerType('male') readonly door!: WorkerTypeDoor;
    }
    @Module({})
    class FeatureModule extends Base {}
    expect(await start({ imports: [FeatureModule] })).toBe(typo('FeatureModule'));
  });

  test('in a guard of a controller', async () => {
    @Injectable()
    class QueueGuard implements CanActivate {
      constructor(@InjectWorkerType('male') readonly door: WorkerTypeDoor) {}
      canActivate() {
        return true;
      }
    }
    @Controller()
    @UseGuards(QueueGuard)
    class UsersController {}
    expect(await start({ controllers: [UsersController] })).toBe(typo('QueueGuard'));
  });

  test('in the dependencies of a factory', async () => {
    const provider = {
      provide: 'SIGNUP',
      useFactory: (door: WorkerTypeDoor) => ({ door }),
      inject: [getWorkerTypeToken('male')],
    };
    expect(await start({ providers: [provider] })).toBe(typo('SIGNUP'));
  });

  test('in an optional dependency of a factory', async () => {
    const provider = {
      provide: 'SIGNUP',
      useFactory: (door: WorkerTypeDoor) => ({ door }),
      inject: [{ token: getWorkerTypeToken('male'), optional: true }],
    };
    expect(await start({ providers: [provider] })).toBe(typo('SIGNUP'));
  });

  test.each([Scope.REQUEST, Scope.TRANSIENT])('in a provider of scope %i', async (scope) => {
    @Injectable({ scope })
    class Signup {
      constructor(@InjectWorkerType('male') readonly door: WorkerTypeDoor) {}
    }
    expect(await start({ providers: [Signup] })).toBe(typo('Signup'));
  });

  test('in a worker', async () => {
    @WorkerType('chained')
    class ChainedWorker extends Worker {
      constructor(@InjectWorkerType('male') readonly next: WorkerTypeDoor) {
        super();
      }
      override processItem() {}
    }
    expect(await start({ providers: [ChainedWorker] })).toBe(
      typo('ChainedWorker').replace('known: mail', 'known: mail, chained'),
    );
  });

  test('and all of them are named', async () => {
    class Other {
      @InjectWorkerType('male') readonly first!: WorkerTypeDoor;
      @InjectWorkerType('mial') readonly second!: WorkerTypeDoor;
    }
    expect(await start({ providers: [injecting('male'), Other] })).toBe(
      'InvalidOptionsError: @InjectWorkerType: 3 wrong options: ' +
        ['Signup: … "male"', 'Other: … "male"', 'Other: … "mial"']
          .map((line) => line.replace('…', 'expected a worker type (known: mail), got'))
          .join('; '),
    );
  });
});

describe('a door is let be', () => {
  test('that a class asks for which is no part of this application', async () => {
    injecting('of another application');
    const app = await startApplication({ imports: [WorkerModule.forRoot()], providers: [MailWorker] });
    expect(app.get(JobProcess).types).toEqual(['mail']);
  });

  test.each(['constructor', 'onModuleInit'] as const)(
    'to a type that is registered late, in %s',
    async (moment) => {
      @Injectable({ scope: Scope.TRANSIENT })
      class LateWorker extends Worker {
        override processItem() {}
      }
      @Injectable()
      class Registrar implements OnModuleInit {
        constructor(private readonly factory: WorkerFactory) {
          if (moment === 'constructor') factory.register('late', LateWorker);
        }
        onModuleInit() {
          if (moment === 'onModuleInit') this.factory.register('late', LateWorker);
        }
      }
      const Signup = injecting('late');
      const app = await startApplication({
        imports: [WorkerModule.forRoot()],
        providers: [LateWorker, Registrar, Signup],
      });
      const job = await app.get(Signup).door.distributeWork([1]);
      expect((await job.completed).done).toBe(1);
    },
  );

  test('that a test provides in its place', async () => {
    const Signup = injecting('male');
    const door = { offer: () => true };
    const app = await startApplication({
      imports: [WorkerModule.forRoot()],
      providers: [Signup, { provide: getWorkerTypeToken('male'), useValue: door }],
    });
    expect(app.get(Signup).door).toBe(door);
  });

  test('that a test has replaced', async () => {
    const Signup = injecting('male');
    const door = { offer: () => true };
    const app = await startApplication(
      { imports: [WorkerModule.forRoot()], providers: [MailWorker, Signup] },
      (builder) => builder.overrideProvider(getWorkerTypeToken('male')).useValue(door),
    );
    expect(app.get(Signup).door).toBe(door);
  });
});

describe('a decorated class among the controllers is refused, as nobody would look for it there:', () => {
  test('a worker', async () => {
    @WorkerType('lost')
    class LostWorker extends Worker {
      override processItem() {
        return undefined;
      }
    }
    expect(await refusal({ imports: [WorkerModule.forRoot()], controllers: [LostWorker] })).toBe(
      'InvalidOptionsError: @WorkerType on LostWorker: expected the class among the providers of a module, got it among the controllers',
    );
  });

  test('a cursor job', async () => {
    @CursorJob({ name: 'lost', worker: 'mail' })
    class LostFeed {
      fetchPage() {
        return Promise.resolve({ items: [], next: undefined });
      }
    }
    expect(await refusal({ imports: [WorkerModule.forRoot()], controllers: [LostFeed] })).toBe(
      'InvalidOptionsError: @CursorJob on LostFeed: expected the class among the providers of a module, got it among the controllers',
    );
  });
});

test('options for a worker type are refused by name where there is no worker type at all', async () => {
  const starting = startApplication({ imports: [WorkerModule.forRoot({ workers: { mial: {} } })] });
  await expect(starting).rejects.toThrow('workers.mial: expected a worker type (none is known), got "mial"');
});
