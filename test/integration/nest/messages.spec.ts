import { describe, expect, jest, test } from '@jest/globals';
import {
  Catch,
  Controller,
  Injectable,
  Module,
  Scope,
  SetMetadata,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type INestApplicationContext,
  type ModuleMetadata,
  type NestInterceptor,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
  type PipeTransform,
  type Type,
} from '@nestjs/common';
import { APP_GUARD, Reflector } from '@nestjs/core';
import {
  ClientProxyFactory,
  Ctx,
  EventPattern,
  MessagePattern,
  Payload,
  RpcException,
  TcpContext,
  Transport,
  type ClientProxy,
} from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { Redis } from 'ioredis';
import { lastValueFrom, of, tap } from 'rxjs';
import {
  JobProcess,
  MessageJob,
  UnrecoverableError,
  Worker,
  WorkerModule,
  WorkerType,
  type MessageReceipt,
  type WorkerModuleOptions,
} from '../../../src/index.js';
import { freePort } from '../../support/free-port.js';
import { createRedisNamespace } from '../../support/redis.js';
import { startTypescriptProgram } from '../../support/typescript-program.js';
import { until } from '../../support/until.js';
import { closeAtEnd, compileApplication, gate, nextEvent, silent, type Gate } from './applications.js';

jest.setTimeout(30_000);

interface User {
  readonly name: string;
}

/** What the worker has seen, and what holds it. */
@Injectable()
class Seen {
  readonly items: unknown[] = [];
  held: Gate | undefined;
}

@WorkerType('mail', { retry: { limit: 0 } })
class MailWorker extends Worker {
  constructor(private readonly seen: Seen) {
    super();
  }
  override async processItem(item: unknown) {
    await this.seen.held?.opened;
    if (item === 'bad') throw new UnrecoverableError('bad item');
    this.seen.items.push(item);
  }
}

const workers = (options: WorkerModuleOptions = {}) =>
  WorkerModule.forRoot({ reportIntervalMs: 0, ...options });

/** An application that listens on TCP, with a client. */
async function overTcp(
  metadata: ModuleMetadata,
  kind: 'microservice' | 'hybrid' = 'microservice',
  options?: WorkerModuleOptions,
) {
  const port = await freePort();
  const transport = { transport: Transport.TCP, options: { host: '127.0.0.1', port } } as const;
  const compiled = await Test.createTestingModule({
    ...metadata,
    imports: [workers(options), ...(metadata.imports ?? [])],
    providers: [MailWorker, Seen, ...(metadata.providers ?? [])],
  })
    .setLogger(silent)
    .compile();
  const app =
    kind === 'microservice' ? compiled.createNestMicroservice(transport) : compiled.createNestApplication();
  closeAtEnd(() => app.close());
  if ('listen' in app && kind === 'microservice') await (app as { listen(): Promise<unknown> }).listen();
  if ('connectMicroservice' in app) {
    app.connectMicroservice(transport);
    await app.startAllMicroservices();
    await app.listen(0, '127.0.0.1');
  }
  const client = ClientProxyFactory.create(transport);
  closeAtEnd(() => Promise.resolve(client.close()));
  await client.connect();
  return { app, client, jobs: app.get(JobProcess), seen: app.get(Seen, { strict: false }) };
}

function send(client: ClientProxy, pattern: string, payload: unknown): Promise<MessageReceipt> {
  return lastValueFrom(client.send<MessageReceipt>(pattern, payload));
}

function emit(client: ClientProxy, pattern: string, payload: unknown): Promise<unknown> {
  return lastValueFrom(client.emit(pattern, payload), { defaultValue: undefined });
}

@Injectable()
class Registrations {
  @MessageJob('user.registered', { worker: 'mail' })
  toItems(user: User): unknown {
    if (typeof user?.name !== 'string') throw new TypeError('expected a name');
    return user.name;
  }

  @MessageJob('users.registered', { worker: 'mail' })
  async toSeveral(users: readonly User[]) {
    await Promise.resolve();
    return users.map(({ name }) => name);
  }

  @MessageJob('user.forgotten', { worker: 'mail' })
  toNothing(_user: User) {}

  @MessageJob('user.imported', { worker: 'mail', acknowledge: 'stored' })
  toItem(user: User) {
    return user.name;
  }
}

describe.each(['microservice', 'hybrid'] as const)('@MessageJob in a %s application', (kind) => {
  test('hands the items of a request to the worker, and answers when they have ended', async () => {
    const { client, seen, jobs } = await overTcp({ providers: [Registrations] }, kind);
    expect(await send(client, 'user.registered', { name: 'Ada' })).toEqual({
      jobId: expect.any(String),
      items: 1,
      done: 1,
      failed: 0,
    });
    expect(await send(client, 'users.registered', [{ name: 'bad' }, { name: 'Grace' }])).toMatchObject({
      items: 2,
      done: 1,
      failed: 1,
    });
    expect(await send(client, 'users.registered', [])).toMatchObject({ items: 0, done: 0, failed: 0 });
    expect(seen.items).toEqual(['Ada', 'Grace']);
    expect(jobs.counts('mail')).toMatchObject({ submitted: 3, completed: 2, dead: 1 });
  });

  test('hands the items of an event to the worker', async () => {
    const { app, client, seen, jobs } = await overTcp({ providers: [Registrations] }, kind);
    const finished = nextEvent(app, 'jobFinished');
    await emit(client, 'users.registered', [{ name: 'Ada' }, { name: 'Grace' }]);
    await finished;
    expect(seen.items).toEqual(['Ada', 'Grace']);
    expect(jobs.counts('mail').completed).toBe(2);
  });
});

describe('a message that its method refuses', () => {
  test('becomes a dead letter with the reason, and its sender is told', async () => {
    const { client, seen, jobs } = await overTcp({ providers: [Registrations] });
    expect(await send(client, 'user.registered', { nom: 'Ada' })).toEqual({
      jobId: expect.any(String),
      items: 1,
      done: 0,
      failed: 1,
      rejected: 'expected a name',
    });
    expect(await send(client, 'user.registered', { name: 'Grace' })).toMatchObject({ done: 1 });
    expect(seen.items).toEqual(['Grace']);
    expect(jobs.deadLetters()).toMatchObject([
      {
        type: 'mail',
        payload: { nom: 'Ada' },
        reason: 'rejected',
        attempts: 0,
        error: { message: 'expected a name' },
      },
    ]);
  });

  test('becomes a dead letter when the method returns undefined', async () => {
    const { client, jobs } = await overTcp({ providers: [Registrations] });
    expect((await send(client, 'user.forgotten', { name: 'Ada' })).rejected).toMatch(
      /toItems returned undefined/,
    );
    expect(jobs.deadLetters()).toMatchObject([{ payload: { name: 'Ada' }, error: { code: 'NO_ITEMS' } }]);
  });

  test('is kept itself, whatever stands first among the parameters', async () => {
    @Injectable()
    class Handlers {
      @MessageJob('user.registered', { worker: 'mail' })
      toItems(@Ctx() context: TcpContext, @Payload() user: User): string {
        expect(context).toBeInstanceOf(TcpContext);
        throw new Error(`no ${user.name}`);
      }
    }
    const { client, jobs } = await overTcp({ providers: [Handlers] });
    expect((await send(client, 'user.registered', { name: 'Ada' })).rejected).toBe('no Ada');
    expect(jobs.deadLetters()).toMatchObject([{ payload: { name: 'Ada' } }]);
  });
});

describe('acknowledge', () => {
  test("'stored' answers when the items are in the queue, 'settled' when they have ended", async () => {
    const { client, seen, jobs } = await overTcp({ providers: [Registrations] });
    seen.held = gate();
    expect(await send(client, 'user.imported', { name: 'Ada' })).toEqual({
      jobId: expect.any(String),
      items: 1,
    });
    expect(seen.items).toEqual([]);

    let answered = false;
    const settled = send(client, 'user.registered', { name: 'Grace' }).finally(() => (answered = true));
    await send(client, 'user.imported', { name: 'Edsger' });
    expect(answered).toBe(false);
    seen.held.open();
    expect(await settled).toMatchObject({ done: 1 });
    await jobs.waitForCompletion();
    expect(seen.items).toEqual(expect.arrayContaining(['Ada', 'Grace', 'Edsger']));
  });
});

const Role = (role: string) => SetMetadata('role', role);

describe('the decorators of Nest work as on a message handler', () => {
  const trace: string[] = [];
  function traced(name: string) {
    @Injectable()
    class TracingInterceptor implements NestInterceptor {
      intercept(context: ExecutionContext, next: CallHandler) {
        trace.push(`${name} before ${context.getClass().name}.${context.getHandler().name}`);
        return next
          .handle()
          .pipe(tap((receipt: MessageReceipt) => trace.push(`${name} after ${receipt.items}`)));
      }
    }
    return TracingInterceptor;
  }
  @Injectable()
  class Roles {
    readonly allowed = 'admin';
  }
  @Injectable()
  class RoleGuard implements CanActivate {
    constructor(
      private readonly reflector: Reflector,
      private readonly roles: Roles,
    ) {}
    canActivate(context: ExecutionContext) {
      const role = this.reflector.getAllAndOverride<string>('role', [
        context.getHandler(),
        context.getClass(),
      ]);
      return role === this.roles.allowed;
    }
  }
  @Injectable()
  class UserPipe implements PipeTransform<{ name?: string } | undefined> {
    transform(user: { name?: string } | undefined, { metatype, type }: { metatype?: Type; type: string }) {
      if (type === 'body' && typeof user?.name !== 'string') throw new RpcException('a user has a name');
      return type === 'body' ? { name: `${user!.name} (${metatype?.name})` } : user;
    }
  }
  @Catch(RangeError)
  class RangeFilter implements ExceptionFilter {
    catch(error: RangeError, host: ArgumentsHost) {
      trace.push(`filter of ${host.getType()}`);
      return of({ filtered: error.message });
    }
  }
  @Injectable()
  class FailingInterceptor implements NestInterceptor {
    intercept(): never {
      throw new RangeError('out of range');
    }
  }
  class NewUser {
    name!: string;
  }

  @Injectable()
  @UseInterceptors(traced('class'))
  @Role('nobody')
  class Decorated {
    @UseInterceptors(traced('method'))
    @MessageJob('traced', { worker: 'mail' })
    toItems(user: User) {
      trace.push('method');
      return user.name;
    }

    @Role('admin')
    @UseGuards(RoleGuard)
    @MessageJob('allowed', { worker: 'mail' })
    allowed(user: User) {
      return user.name;
    }

    @UseGuards(RoleGuard)
    @MessageJob('forbidden', { worker: 'mail' })
    forbidden(user: User) {
      return user.name;
    }

    @UsePipes(UserPipe)
    @MessageJob('piped', { worker: 'mail' })
    piped(@Payload() user: NewUser) {
      return user.name;
    }

    @MessageJob('parameter piped', { worker: 'mail' })
    parameterPiped(@Payload('user', UserPipe) user: NewUser) {
      return user.name;
    }

    @UseFilters(RangeFilter)
    @UseInterceptors(FailingInterceptor)
    @MessageJob('filtered', { worker: 'mail' })
    filtered(user: User) {
      return user.name;
    }
  }

  const start = () => overTcp({ providers: [Decorated, Roles] });

  test('interceptors of method and class, around the whole work on the message', async () => {
    trace.length = 0;
    const { client } = await start();
    await send(client, 'traced', { name: 'Ada' });
    expect(trace).toEqual([
      'class before Decorated.toItems',
      'method before Decorated.toItems',
      'method',
      'method after 1',
      'class after 1',
    ]);
  });

  test('guards with dependencies, which see what decorators say of method and class', async () => {
    const { client, jobs, seen } = await start();
    expect(await send(client, 'allowed', { name: 'Ada' })).toMatchObject({ done: 1 });
    await expect(send(client, 'forbidden', { name: 'Grace' })).rejects.toMatchObject({
      message: 'Forbidden resource',
    });
    expect(seen.items).toEqual(['Ada']);
    expect(jobs.counts('mail').submitted).toBe(1);
  });

  test('pipes of method and parameter, which are told the type of the parameter', async () => {
    const { client, jobs, seen } = await start();
    await send(client, 'piped', { name: 'Ada' });
    await send(client, 'parameter piped', { user: { name: 'Grace' } });
    await expect(send(client, 'piped', {})).rejects.toMatchObject({ message: 'a user has a name' });
    expect(seen.items).toEqual(['Ada (NewUser)', 'Grace (NewUser)']);
    expect(jobs.counts('mail').submitted).toBe(2);
  });

  test('filters', async () => {
    trace.length = 0;
    const { client } = await start();
    expect(await send(client, 'filtered', { name: 'Ada' })).toEqual({ filtered: 'out of range' });
    expect(trace).toContain('filter of rpc');
  });

  test('global ones', async () => {
    @Injectable()
    class NobodyGuard implements CanActivate {
      canActivate() {
        return false;
      }
    }
    const { client, jobs } = await overTcp({
      providers: [Registrations, { provide: APP_GUARD, useClass: NobodyGuard }],
    });
    await expect(send(client, 'user.registered', { name: 'Ada' })).rejects.toMatchObject({
      message: 'Forbidden resource',
    });
    expect(jobs.counts('mail').submitted).toBe(0);
  });
});

function namedHandlers(pattern: string, make: (text: string) => string): Type {
  @Injectable()
  class Handlers {
    @MessageJob(pattern, { worker: 'mail' })
    toItems(text: string) {
      return make(text);
    }
  }
  return Handlers;
}

describe('a provider with @MessageJob', () => {
  test('has its lifecycle hooks called once, on itself', async () => {
    const calls: string[] = [];
    @Injectable()
    class Hooked implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
      private readonly name = 'hooked';
      onModuleInit() {
        calls.push(`init ${this.name}`);
      }
      onApplicationBootstrap() {
        calls.push(`bootstrap ${this.name}`);
      }
      onModuleDestroy() {
        calls.push(`destroy ${this.name}`);
      }
      @MessageJob('hooked', { worker: 'mail' })
      toItems(text: string) {
        return `${text} ${this.name}`;
      }
    }
    const { app, client, seen } = await overTcp({ providers: [Hooked] });
    await send(client, 'hooked', 'is');
    client.close();
    await app.close();
    expect(calls).toEqual(['init hooked', 'bootstrap hooked', 'destroy hooked']);
    expect(seen.items).toEqual(['is hooked']);
  });

  test('listens for nothing that other decorators of Nest say of its methods, as any provider', async () => {
    const called = jest.fn();
    @Injectable()
    class Mixed {
      @MessageJob('taken', { worker: 'mail' })
      toItems(text: string) {
        return text;
      }
      @MessagePattern('ignored')
      ignored(_text: string) {
        called();
        return 'answer';
      }
      @EventPattern('taken')
      alsoIgnored(_text: string) {
        called();
      }
    }
    const { client } = await overTcp({ providers: [Mixed] });
    await send(client, 'taken', 'x');
    await expect(send(client, 'ignored', 'x')).rejects.toMatch(/no matching message handler/);
    expect(called).not.toHaveBeenCalled();
  });

  test('may have methods of the same name, and a name, as another one', async () => {
    const first = namedHandlers('first', (text) => `first ${text}`);
    const second = namedHandlers('second', (text) => `second ${text}`);
    @Module({ providers: [first] })
    class FirstModule {}
    @Module({ providers: [second] })
    class SecondModule {}
    const { client, seen } = await overTcp({ imports: [FirstModule, SecondModule] });
    await send(client, 'first', 'x');
    await send(client, 'second', 'y');
    expect(seen.items).toEqual(['first x', 'second y']);
  });

  test('takes each message once, even if two modules provide it', async () => {
    @Module({ providers: [Registrations] })
    class One {}
    @Module({ providers: [Registrations] })
    class Two {}
    const { client, seen } = await overTcp({ imports: [One, Two] });
    expect(await send(client, 'user.registered', { name: 'Ada' })).toMatchObject({ done: 1 });
    expect(seen.items).toEqual(['Ada']);
  });

  test('may inherit its methods, and override them', async () => {
    @Injectable()
    class Louder extends Registrations {
      override toItem(user: User) {
        return super.toItem(user).toUpperCase();
      }
    }
    const { client, seen, jobs } = await overTcp({ providers: [Louder] });
    expect(await send(client, 'user.registered', { name: 'Ada' })).toMatchObject({ done: 1 });
    await jobs.waitForCompletion();
    expect(seen.items).toEqual(['Ada']);
  });

  test.each([
    ['a factory', { provide: Registrations, useFactory: () => new Registrations() }],
    ['a value', { provide: Registrations, useValue: new Registrations() }],
    ['another token', { provide: 'REGISTRATIONS', useClass: Registrations }],
  ])('may come from %s', async (_, provider) => {
    const { client, seen } = await overTcp({ providers: [provider] });
    expect(await send(client, 'user.registered', { name: 'Ada' })).toMatchObject({ done: 1 });
    expect(seen.items).toEqual(['Ada']);
  });

  test('listens once where other tokens stand for it as well', async () => {
    class Extended extends Registrations {}
    const { client, seen } = await overTcp({
      providers: [
        Extended,
        { provide: 'REGISTRATIONS', useExisting: Extended },
        { provide: Registrations, useExisting: Extended },
      ],
    });
    await send(client, 'user.registered', { name: 'Ada' });
    expect(seen.items).toEqual(['Ada']);
  });

  test('may send to a pattern that is an object', async () => {
    @Injectable()
    class Handlers {
      @MessageJob({ cmd: 'register' }, { worker: 'mail', transport: Transport.TCP })
      toItems(user: User) {
        return user.name;
      }
      @MessageJob({ cmd: 'register elsewhere' }, { worker: 'mail', transport: Transport.REDIS })
      elsewhere(user: User) {
        return user.name;
      }
    }
    const { client } = await overTcp({ providers: [Handlers] });
    expect(await lastValueFrom(client.send({ cmd: 'register' }, { name: 'Ada' }))).toMatchObject({ done: 1 });
    await expect(lastValueFrom(client.send({ cmd: 'register elsewhere' }, { name: 'Ada' }))).rejects.toMatch(
      /no matching message handler/,
    );
  });
});

function handlers(options: unknown): Type {
  @Injectable()
  class Handlers {
    @MessageJob('x', options as { worker: string })
    toItems(item: unknown) {
      return item;
    }
  }
  return Handlers;
}

async function refusal(metadata: ModuleMetadata): Promise<string> {
  const compiled = compileApplication({
    ...metadata,
    imports: [...(metadata.imports ?? []), workers()],
    providers: [MailWorker, Seen, ...(metadata.providers ?? [])],
  });
  return compiled.then(
    () => 'started',
    (error: Error) => error.message,
  );
}

describe('at the start is refused', () => {
  test.each([
    [{ worker: 'male' }, 'worker: expected a worker type (known: mail), got "male"'],
    [{}, 'worker: expected a worker type, got undefined'],
    ['mail', 'options: expected an object, got "mail"'],
    [
      { worker: 'mail', acknowledge: 'later' },
      'acknowledge: expected when to acknowledge (known: stored, settled), got "later"',
    ],
    [
      { worker: 'mail', ack: 'stored' },
      'ack: unknown option; expected one of worker, acknowledge, transport',
    ],
  ])('@MessageJob with the options %j', async (options, problem) => {
    expect(await refusal({ providers: [handlers(options)] })).toBe(
      `@MessageJob on Handlers.toItems: ${problem}`,
    );
  });

  test('@MessageJob on a controller', async () => {
    @Controller()
    class UsersController {
      @MessageJob('x', { worker: 'mail' })
      toItems(item: unknown) {
        return item;
      }
    }
    expect(await refusal({ controllers: [UsersController] })).toBe(
      '@MessageJob on UsersController.toItems: expected its class among the providers of a module, got it among the controllers',
    );
  });

  const scope =
    'scope: expected a provider that lives as long as the application, got a request-scoped or transient one';

  test.each([Scope.REQUEST, Scope.TRANSIENT])('@MessageJob on a provider of scope %i', async (wrong) => {
    @Injectable({ scope: wrong })
    class Handlers {
      @MessageJob('x', { worker: 'mail' })
      toItems(item: unknown) {
        return item;
      }
    }
    expect(await refusal({ providers: [Handlers] })).toBe(`@MessageJob on Handlers: ${scope}`);
  });

  test.each(['before', 'after'])(
    '@MessageJob on a provider with a request-scoped dependency, imported %s WorkerModule',
    async (place) => {
      @Injectable({ scope: Scope.REQUEST })
      class OfRequest {}
      @Injectable()
      class Handlers {
        constructor(readonly ofRequest: OfRequest) {}
        @MessageJob('x', { worker: 'mail' })
        toItems(item: unknown) {
          return item;
        }
      }
      @Module({ providers: [OfRequest, Handlers] })
      class FeatureModule {}
      const imports = place === 'before' ? [FeatureModule] : [];
      @Module({
        imports: [workers(), FeatureModule],
        providers: [MailWorker, Seen],
        exports: [MailWorker, Seen],
      })
      class Root {}
      const message =
        place === 'before'
          ? await refusal({ imports })
          : await compileApplication({ imports: [Root] }).then(
              () => 'started',
              (error: Error) => error.message,
            );
      expect(message).toBe(`@MessageJob on Handlers: ${scope}`);
    },
  );
});

async function subscribed() {
  const app = await compileApplication({ imports: [workers()], providers: [MailWorker, Seen] });
  await app.init();
  return { app, jobs: app.get(JobProcess), seen: app.get(Seen) };
}

describe('processQueueMessages', () => {
  test('takes messages until it is closed: those taken before are settled, later ones refused', async () => {
    const { jobs, seen } = await subscribed();
    seen.held = gate();
    let deliver!: (message: string) => Promise<MessageReceipt>;
    const unsubscribe = jest.fn<() => void>();
    const subscription = await jobs.processQueueMessages<string>('mail', (take) => {
      deliver = take;
      return unsubscribe;
    });
    const taken = [deliver('a'), deliver('b')];
    const closed = subscription.close();
    await expect(deliver('c')).rejects.toMatchObject({ code: 'PROCESS_CLOSED' });
    seen.held.open();
    await closed;
    expect(unsubscribe).toHaveBeenCalledTimes(1);
    expect((await Promise.all(taken)).map(({ done }) => done)).toEqual([1, 1]);
    expect(seen.items).toEqual(expect.arrayContaining(['a', 'b']));
  });
});

describe('when the application closes', () => {
  // Nest's `close` of a microservice that is no part of a hybrid application ends the transport before anything else.
  test.each([
    ['hybrid', (app: INestApplicationContext) => app.close()],
    ['microservice', (app: INestApplicationContext) => app.get(JobProcess).shutdown()],
  ] as const)('a message under way is answered, and a later one is refused: %s', async (kind, close) => {
    const { app, client, seen, jobs } = await overTcp({ providers: [Registrations] }, kind);
    const held = gate();
    seen.held = held;
    closeAtEnd(async () => held.open());
    const started = nextEvent(app, 'scaled');
    const answer = send(client, 'user.registered', { name: 'Ada' });
    await started;
    const closed = close(app);
    await until(async () => jobs.isClosed, Boolean, 5_000);
    await expect(send(client, 'user.registered', { name: 'Grace' })).rejects.toMatchObject({
      status: 'error',
    });
    held.open();
    expect(await answer).toMatchObject({ done: 1 });
    await closed;
    expect(seen.items).toEqual(['Ada']);
    expect(jobs.deadLetters()).toEqual([]);
  });

  test('messages that could not be finished in time are refused, so that their sender keeps them', async () => {
    const { app, client, seen } = await overTcp({ providers: [Registrations] }, 'hybrid', {
      shutdownTimeoutMs: 0,
      abortGraceMs: 0,
    });
    const held = gate();
    seen.held = held;
    closeAtEnd(async () => held.open());
    const started = nextEvent(app, 'scaled');
    const answer = send(client, 'users.registered', [{ name: 'Ada' }, { name: 'Grace' }]).catch(
      (error: unknown) => error,
    );
    await started;
    const unfinished = nextEvent(app, 'unfinished');
    await app.get(JobProcess).shutdown();
    expect((await unfinished).items.map(({ payload }) => payload)).toEqual(
      expect.arrayContaining(['Ada', 'Grace']),
    );
    expect(await answer).toMatchObject({ status: 'error' });
  });
});

describe('over the Redis transport', () => {
  test('takes what another process emits and sends, and loses nothing to what is malformed', async () => {
    const namespace = await createRedisNamespace();
    closeAtEnd(() => namespace.close());
    const { hostname, port, pathname } = new URL(namespace.url);
    const pattern = `${namespace.keyPrefix}user.registered`;

    @Injectable()
    class Handlers {
      @MessageJob(pattern, { worker: 'mail' })
      toItems(user: User | undefined) {
        if (typeof user?.name !== 'string')
          throw new TypeError(`expected a user, got ${JSON.stringify(user)}`);
        return user.name;
      }
    }
    const compiled = await Test.createTestingModule({
      imports: [workers()],
      providers: [MailWorker, Seen, Handlers],
    })
      .setLogger(silent)
      .compile();
    const app = compiled.createNestMicroservice({
      transport: Transport.REDIS,
      options: { host: hostname, port: Number(port), db: Number(pathname.slice(1)) },
    });
    closeAtEnd(() => app.close());
    await app.listen();
    const jobs = app.get(JobProcess);

    const sender = startTypescriptProgram(new URL('redis-sender.program.ts', import.meta.url), [
      namespace.url,
      pattern,
    ]);
    closeAtEnd(() => sender.kill());
    expect(JSON.parse(await sender.nextLine())).toMatchObject({ items: 1, done: 1, failed: 0 });
    expect(JSON.parse(await sender.nextLine())).toMatchObject({
      failed: 1,
      rejected: 'expected a user, got {"nom":"Edsger"}',
    });
    expect(await sender.ended).toEqual({ code: 0, signal: null });

    const dead = nextEvent(app, 'deadLetter', ({ payload }) => payload === 'no JSON at all');
    const raw = new Redis(namespace.url);
    closeAtEnd(() => raw.quit());
    await raw.publish(pattern, JSON.stringify({ pattern }));
    await raw.publish(pattern, '{"no": "pattern"');
    await raw.publish(pattern, 'no JSON at all');
    await dead;
    await jobs.waitForCompletion();
    expect(app.get(Seen).items).toHaveLength(2);
    expect(app.get(Seen).items).toEqual(expect.arrayContaining(['Ada', 'Grace']));
    expect(jobs.deadLetters().map(({ payload, reason }) => [payload, reason])).toEqual(
      expect.arrayContaining([
        [{ nom: 'Edsger' }, 'rejected'],
        [undefined, 'rejected'],
        ['{"no": "pattern"', 'rejected'],
        ['no JSON at all', 'rejected'],
      ]),
    );
    expect(jobs.deadLetters()).toHaveLength(4);
  });
});
