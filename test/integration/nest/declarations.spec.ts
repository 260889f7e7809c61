import { describe, expect, test } from '@jest/globals';
import { applyDecorators, Controller, Injectable, type ModuleMetadata } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import {
  CursorJob,
  getWorkerTypeToken,
  InjectWorkerType,
  InvalidOptionsError,
  MessageJob,
  Worker,
  WorkerModule,
  WorkerType,
  type CursorSource,
  type WorkerTypeDoor,
} from '../../../src/index.js';
import { startApplication } from './applications.js';

/** As a caller without types may write it. */
const untyped = (decorator: unknown) => decorator as (...args: unknown[]) => ClassDecorator & MethodDecorator;

@WorkerType('mail')
class MailWorker extends Worker {
  override processItem() {}
}

const refusal = (metadata: ModuleMetadata) =>
  startApplication({
    ...metadata,
    imports: [WorkerModule.forRoot(), ...(metadata.imports ?? [])],
    providers: [MailWorker, ...(metadata.providers ?? [])],
  }).then(
    () => 'started',
    (error: Error) => error.message,
  );

/** As one who forgets the call writes it. */
const bare = (decorator: unknown) => decorator as ClassDecorator & MethodDecorator;
const bareInject = InjectWorkerType as unknown as PropertyDecorator & ParameterDecorator;

function declareStatic() {
  class Registrations {
    @(untyped(MessageJob)('user.registered'))
    static toItems() {}
  }
  return Registrations;
}

describe('at its declaration is refused', () => {
  test.each([
    [[], 'undefined'],
    [[null], 'null'],
    [['digest'], '"digest"'],
  ])('@CursorJob with %j', (given, got) => {
    const declare = () => {
      @(untyped(CursorJob)(...given))
      class Digest {}
      return Digest;
    };
    expect(declare).toThrow(
      new InvalidOptionsError('@CursorJob on Digest', [
        `expected an object of options with name and worker, got ${got}`,
      ]),
    );
  });

  const pattern = 'expected a pattern, a text that is not empty or an object, got';
  const options = 'expected an object of options with worker, got';

  test.each<[unknown[], string[]]>([
    [['user.registered'], [`${options} undefined`]],
    [['user.registered', null], [`${options} null`]],
    [[undefined, { worker: 'mail' }], [`${pattern} undefined`]],
    [[null, { worker: 'mail' }], [`${pattern} null`]],
    [['', { worker: 'mail' }], [`${pattern} ""`]],
    [[7, { worker: 'mail' }], [`${pattern} 7`]],
    [[], [`${pattern} undefined`, `${options} undefined`]],
    [['user.registered', 'mail'], [`${options} "mail"`]],
  ])('@MessageJob with %j', (given, problems) => {
    const declare = () => {
      class Registrations {
        @(untyped(MessageJob)(...given))
        toItems() {}
      }
      return Registrations;
    };
    expect(declare).toThrow(new InvalidOptionsError('@MessageJob on Registrations.toItems', problems));
  });

  test('@MessageJob on a static method, under the name of its class', () => {
    expect(declareStatic).toThrow('@MessageJob on Registrations.toItems: expected an object of options');
  });
});

describe('a decorator without its call is refused', () => {
  const wanted: Record<string, string> = {
    '@WorkerType': "expected the name of a worker type, as in @WorkerType('mail'), got",
    '@InjectWorkerType': "expected the name of a worker type, as in @InjectWorkerType('mail'), got",
    '@CursorJob': "expected an object of options, as in @CursorJob({ name: 'digest', worker: 'mail' }), got",
    '@MessageJob':
      "expected a pattern and an object of options, as in @MessageJob('user.registered', { worker: 'mail' }), got",
  };

  test.each<[string, string, string, () => unknown]>([
    [
      '@WorkerType',
      'on a class',
      'the class Digest',
      () => {
        @bare(WorkerType)
        class Digest extends Worker {}
        return Digest;
      },
    ],
    [
      '@CursorJob',
      'on a class',
      'the class Digest',
      () => {
        @bare(CursorJob)
        class Digest {}
        return Digest;
      },
    ],
    [
      '@MessageJob',
      'on a class',
      'the class Registrations',
      () => {
        @bare(MessageJob)
        class Registrations {}
        return Registrations;
      },
    ],
    [
      '@MessageJob',
      'on a method',
      'the class Registrations and "toItems"',
      () => {
        class Registrations {
          @bare(MessageJob)
          toItems() {}
        }
        return Registrations;
      },
    ],
    [
      '@MessageJob',
      'on a static method',
      'the class Registrations and "toItems"',
      () => {
        class Registrations {
          @bare(MessageJob)
          static toItems() {}
        }
        return Registrations;
      },
    ],
    [
      '@InjectWorkerType',
      'on a parameter',
      'the class Signup',
      () => {
        class Signup {
          constructor(@bareInject readonly door: WorkerTypeDoor) {}
        }
        return Signup;
      },
    ],
    [
      '@InjectWorkerType',
      'on a property',
      'the class Signup',
      () => {
        class Signup {
          @bareInject readonly door!: WorkerTypeDoor;
        }
        return Signup;
      },
    ],
  ])('%s %s', (decorator, _, got, declare) => {
    expect(declare).toThrow(new InvalidOptionsError(decorator, [`${wanted[decorator]} ${got}`]));
  });
});

describe('without the name of a worker type is refused', () => {
  test.each([
    [[], 'undefined'],
    [[null], 'null'],
    [[''], '""'],
    [[7], '7'],
  ])('@WorkerType with %j', (given, got) => {
    const declare = () => {
      @(untyped(WorkerType)(...given))
      class Digest extends Worker {}
      return Digest;
    };
    expect(declare).toThrow(
      new InvalidOptionsError('@WorkerType on Digest', [
        `expected the name of a worker type, as in @WorkerType('mail'), got ${got}`,
      ]),
    );
  });

  const inject = InjectWorkerType as (type?: string) => PropertyDecorator & ParameterDecorator;

  test.each<[string, () => unknown]>([
    [
      'a parameter',
      () => {
        class Signup {
          constructor(@inject() readonly door: WorkerTypeDoor) {}
        }
        return Signup;
      },
    ],
    [
      'a property',
      () => {
        class Signup {
          @inject() readonly door!: WorkerTypeDoor;
        }
        return Signup;
      },
    ],
  ])('@InjectWorkerType on %s', (_, declare) => {
    expect(declare).toThrow(
      new InvalidOptionsError('@InjectWorkerType on Signup', [
        "expected the name of a worker type, as in @InjectWorkerType('mail'), got undefined",
      ]),
    );
  });
});

describe('@CursorJob', () => {
  test('without a name and a worker is refused at the start', async () => {
    @(untyped(CursorJob)({}))
    class Digest implements CursorSource {
      fetchPage() {
        return Promise.resolve({ items: [], next: undefined });
      }
    }
    expect(await refusal({ providers: [Digest] })).toBe(
      '@CursorJob on Digest: 2 wrong options: name: expected a text that is not empty, got undefined; ' +
        'worker: expected a worker type (known: mail), got undefined',
    );
  });

  test('with a cron of a day that never comes is refused at the start', async () => {
    @CursorJob({ name: 'digest', worker: 'mail', cron: '0 0 31 2 *' })
    class Digest implements CursorSource {
      fetchPage() {
        return Promise.resolve({ items: [], next: undefined });
      }
    }
    expect(await refusal({ imports: [ScheduleModule.forRoot()], providers: [Digest] })).toBe(
      'Cursor job "digest": cron: expected a cron expression and a time zone that exist, got "0 0 31 2 *" ' +
        '(Something went wrong. No execution date was found in the next 8 years.)',
    );
  });
});

/** That the compiler refuses or accepts the declarations below is the test; that they run, that nothing more is refused. */
describe('by its type', () => {
  test('@WorkerType refuses a class that does not extend Worker', () => {
    // @ts-expect-error it does not
    @WorkerType('loose')
    class Loose {}
    // @ts-expect-error nor does one with the method alone
    @WorkerType('loose')
    class Similar {
      processItem() {}
    }
    expect([Loose, Similar]).toHaveLength(2);
  });

  test('@WorkerType accepts abstract classes, parameters of any kind, subclasses, and others that it is combined with', () => {
    @WorkerType('abstract')
    abstract class AbstractWorker<Payload> extends Worker<Payload> {
      protected constructor(protected readonly limits: readonly number[]) {
        super();
      }
    }
    @WorkerType('derived')
    class DerivedWorker extends AbstractWorker<{ readonly to: string }> {
      constructor(
        readonly name: string,
        readonly size?: number,
      ) {
        super([1]);
      }
      override processBatch(_letters: readonly { readonly to: string }[]) {}
    }
    @applyDecorators(WorkerType('combined'), Injectable())
    class CombinedWorker extends Worker<never> {}
    expect([DerivedWorker, CombinedWorker]).toHaveLength(2);
  });

  test('@CursorJob refuses a class without fetchPage, or with one that gives no page', () => {
    // @ts-expect-error it has none
    @CursorJob({ name: 'digest', worker: 'mail' })
    class Empty {}
    // @ts-expect-error it gives no page
    @CursorJob({ name: 'digest', worker: 'mail' })
    class Pageless {
      fetchPage() {
        return Promise.resolve([1]);
      }
    }
    expect([Empty, Pageless]).toHaveLength(2);
  });

  test('@CursorJob accepts cursors and items of any type, abstract classes, and others that it is combined with', () => {
    @CursorJob({ name: 'digest', worker: 'mail' })
    abstract class AbstractDigest<Item> {
      constructor(protected readonly source: { read(after: number): Item[] }) {}
      fetchPage(cursor: number | undefined, _limit: number) {
        return Promise.resolve({ items: this.source.read(cursor ?? 0), next: undefined });
      }
    }
    @applyDecorators(CursorJob({ name: 'weekly', worker: 'mail' }), Injectable())
    class WeeklyDigest extends AbstractDigest<{ readonly to: string }> implements CursorSource {}
    expect(WeeklyDigest).toBeDefined();
  });
});

/** A class as an expression that gives it no name. */
const nameless = <Class>(declared: Class): Class => declared;

describe('a class without a name is told as such', () => {
  test('by @CursorJob', async () => {
    const source = nameless(class {});
    untyped(CursorJob)({ name: 'x', worker: 'mail' })(source);
    expect(await refusal({ providers: [source] })).toBe(
      '@CursorJob on a class without a name: expected a method fetchPage(cursor, limit), got none',
    );
  });

  test('among the controllers', async () => {
    const worker = nameless(class {});
    untyped(WorkerType)('lost')(worker);
    Controller()(worker);
    expect(await refusal({ controllers: [worker] })).toMatch(
      /^@WorkerType on a class without a name: expected the class among the providers/,
    );
  });

  test('where it is the token of what injects a door to an unknown type', async () => {
    class OfAnotherApplication {
      @InjectWorkerType('male') readonly door!: WorkerTypeDoor;
    }
    // There is a door only where some class of the process asks for it.
    expect(new OfAnotherApplication().door).toBeUndefined();
    const provider = {
      provide: nameless(class {}),
      useFactory: (door: unknown) => ({ door }),
      inject: [getWorkerTypeToken('male')],
    };
    expect(await refusal({ providers: [provider] })).toBe(
      '@InjectWorkerType: a class without a name: expected a worker type (known: mail), got "male"',
    );
  });
});
