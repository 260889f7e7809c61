import { describe, expect, jest, test } from '@jest/globals';
import {
  Controller,
  Injectable,
  Module,
  Scope,
  type ModuleMetadata,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
  type Type,
} from '@nestjs/common';
import { EventPattern, MessagePattern, Transport } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { MessageJob } from '../../../src/index.js';
import { compileApplication } from './applications.js';
import { MailWorker, overTcp, Registrations, Seen, send, workers, type User } from './mail-application.js';

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
      '@MessageJob on UsersController.toItems: expected the class among the providers of a module, got it among the controllers',
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
