import { describe, expect, test } from '@jest/globals';
import {
  Controller,
  Get,
  Injectable,
  type INestApplication,
  type LoggerService,
  type ModuleMetadata,
} from '@nestjs/common';
import { Server, Transport, type CustomTransportStrategy } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { MessageJob, Worker, WorkerModule, WorkerType } from '../../../src/index.js';
import { freePort } from '../../support/free-port.js';
import { ManualClock } from '../../support/manual-clock.js';
import { closeAtEnd } from './applications.js';

@WorkerType('mail')
class MailWorker extends Worker {
  override processItem() {}
}

@Injectable()
class Registrations {
  @MessageJob('user.registered', { worker: 'mail' })
  toItems(name: string) {
    return name;
  }
  @MessageJob('user.renamed', { worker: 'mail' })
  toRenamed(name: string) {
    return name;
  }
}

@Controller('users')
class UsersController {
  @Get()
  list() {
    return [];
  }
}

interface Line {
  readonly level: string;
  readonly context: unknown;
  readonly message: string;
}

/** A transport of the application's own. */
class NamelessServer extends Server implements CustomTransportStrategy {
  listen(callback: () => void) {
    callback();
  }
  close() {}
  on() {}
  unwrap<T>(): T {
    return undefined as T;
  }
}

/** An application that has not started, what it logs, and its clock. */
async function compile(metadata: ModuleMetadata = {}) {
  const lines: Line[] = [];
  const write =
    (level: string) =>
    (message: unknown, ...rest: unknown[]) =>
      void lines.push({ level, context: rest.at(-1), message: String(message) });
  const logger: LoggerService = { log: write('log'), warn: write('warn'), error: write('error') };
  const clock = new ManualClock();
  const compiled = await Test.createTestingModule({
    imports: [WorkerModule.forRoot({ reportIntervalMs: 0, clock })],
    providers: [MailWorker, Registrations],
    ...metadata,
  })
    .setLogger(logger)
    .compile();
  return { compiled, clock, warnings: () => lines.filter(({ level }) => level === 'warn'), lines };
}

const tcp = async () =>
  ({ transport: Transport.TCP, options: { host: '127.0.0.1', port: await freePort() } }) as const;

async function compileHttp(metadata?: ModuleMetadata) {
  const { compiled, ...rest } = await compile(metadata);
  const app: INestApplication = compiled.createNestApplication();
  closeAtEnd(() => app.close());
  return { app, ...rest };
}

const listen = (app: INestApplication) => app.listen(0, '127.0.0.1');

describe('@MessageJob in an application that no microservice is connected to', () => {
  test('is warned of once the application listens, with the methods and what to add', async () => {
    const { app, clock, warnings } = await compileHttp();
    await listen(app);
    await clock.turn(5_000);
    expect(warnings()).toEqual([
      {
        level: 'warn',
        context: 'WorkerModule',
        message:
          '@MessageJob on Registrations.toItems, Registrations.toRenamed: no microservice is connected, so no message ' +
          'gets there. Add, before app.listen(): app.connectMicroservice({ transport: Transport.TCP }); ' +
          'await app.startAllMicroservices();',
      },
    ]);
    await clock.turn(60_000);
    expect(warnings()).toHaveLength(1);
  });

  test('is not warned of when it ends before', async () => {
    const { app, clock, warnings } = await compileHttp();
    await listen(app);
    await app.close();
    await clock.turn(60_000);
    expect(warnings()).toEqual([]);
  });
});

@Injectable()
class OfTransports {
  @MessageJob('by.redis', { worker: 'mail', transport: Transport.REDIS })
  ofRedis(name: string) {
    return name;
  }
  @MessageJob('by.tcp', { worker: 'mail', transport: Transport.TCP })
  ofTcp(name: string) {
    return name;
  }
  @MessageJob('by.queue', { worker: 'mail', transport: Symbol('QUEUE') })
  ofQueue(name: string) {
    return name;
  }
  @MessageJob('by.any', { worker: 'mail' })
  ofAny(name: string) {
    return name;
  }
}

const unheard = (method: string, transport: string) => ({
  level: 'warn',
  context: 'WorkerModule',
  message:
    `@MessageJob on OfTransports.${method}: expected a microservice of its transport, ${transport}, got TCP only, so no ` +
    'message gets there. Connect one, or leave the transport out to take the messages of each',
});

describe('@MessageJob of a transport that is not connected', () => {
  const providers = [MailWorker, OfTransports];

  test('is warned of once the application listens', async () => {
    const { app, clock, warnings } = await compileHttp({ providers });
    app.connectMicroservice(await tcp());
    await app.startAllMicroservices();
    await listen(app);
    await clock.turn(5_000);
    expect(warnings()).toEqual([unheard('ofRedis', 'REDIS'), unheard('ofQueue', 'Symbol(QUEUE)')]);
  });

  test('is warned of when a microservice starts', async () => {
    const { compiled, warnings } = await compile({ providers });
    const app = compiled.createNestMicroservice(await tcp());
    closeAtEnd(() => app.close());
    await app.listen();
    expect(warnings()).toEqual([unheard('ofRedis', 'REDIS'), unheard('ofQueue', 'Symbol(QUEUE)')]);
  });

  test('is not warned of where what is connected does not say of which transport it is', async () => {
    const { app, clock, warnings } = await compileHttp({ providers });
    app.connectMicroservice({ strategy: new NamelessServer() });
    await app.startAllMicroservices();
    await listen(app);
    await clock.turn(60_000);
    expect(warnings()).toEqual([]);
  });
});

describe('nothing is warned of', () => {
  test.each<[string, (app: INestApplication) => Promise<unknown>]>([
    [
      'before the start',
      async (app) => {
        app.connectMicroservice(await tcp());
        await app.startAllMicroservices();
        await listen(app);
      },
    ],
    [
      'after init()',
      async (app) => {
        await app.init();
        app.connectMicroservice(await tcp());
        await app.startAllMicroservices();
        await listen(app);
      },
    ],
    [
      'when the application listens already',
      async (app) => {
        await listen(app);
        app.connectMicroservice(await tcp());
        await app.startAllMicroservices();
      },
    ],
    [
      'with its handlers set up late',
      async (app) => {
        app.connectMicroservice(await tcp(), { deferInitialization: true });
        await app.startAllMicroservices();
        await listen(app);
      },
    ],
  ])('where a microservice is connected %s', async (_, start) => {
    const { app, clock, warnings } = await compileHttp();
    await start(app);
    await clock.turn(60_000);
    expect(warnings()).toEqual([]);
  });

  test('in a microservice', async () => {
    const { compiled, clock, warnings } = await compile();
    const app = compiled.createNestMicroservice(await tcp());
    closeAtEnd(() => app.close());
    await app.listen();
    await clock.turn(60_000);
    expect(warnings()).toEqual([]);
  });

  test('in an application that serves nothing, as a script or a test', async () => {
    const { compiled, clock, warnings } = await compile();
    closeAtEnd(() => compiled.close());
    await compiled.init();
    await clock.turn(60_000);
    expect(warnings()).toEqual([]);
  });

  test('where no method waits for messages', async () => {
    const { app, clock, warnings } = await compileHttp({ providers: [MailWorker] });
    await listen(app);
    await clock.turn(60_000);
    expect(warnings()).toEqual([]);
  });
});

test('Nest lists the routes of controllers alone, not the listeners of @MessageJob', async () => {
  const { app, lines } = await compileHttp({ controllers: [UsersController] });
  app.connectMicroservice(await tcp());
  await app.startAllMicroservices();
  await listen(app);
  expect(lines.filter(({ context }) => context === 'RoutesResolver').map(({ message }) => message)).toEqual([
    'UsersController {/users}:',
  ]);
  expect(lines.filter(({ message }) => message.includes('MessageListener'))).toEqual([]);
});
