import { Injectable, type ModuleMetadata } from '@nestjs/common';
import { ClientProxyFactory, Transport, type ClientProxy } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { lastValueFrom } from 'rxjs';
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
import { closeAtEnd, gate, silent, type Gate } from './applications.js';

export interface User {
  readonly name: string;
}

/** What the worker has seen, and what holds it. */
@Injectable()
export class Seen {
  readonly items: unknown[] = [];
  held: Gate | undefined;
  /** Opens when the worker has been given an item. */
  readonly reached = gate();
}

@WorkerType('mail', { retry: { limit: 0 } })
export class MailWorker extends Worker {
  constructor(private readonly seen: Seen) {
    super();
  }
  override async processItem(item: unknown) {
    this.seen.reached.open();
    await this.seen.held?.opened;
    if (item === 'bad') throw new UnrecoverableError('bad item');
    this.seen.items.push(item);
  }
}

export const workers = (options: WorkerModuleOptions = {}) =>
  WorkerModule.forRoot({ reportIntervalMs: 0, ...options });

/** An application that listens on TCP, with a client. */
export async function overTcp(
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

export function send(client: ClientProxy, pattern: string, payload: unknown): Promise<MessageReceipt> {
  return lastValueFrom(client.send<MessageReceipt>(pattern, payload));
}

export function emit(client: ClientProxy, pattern: string, payload: unknown): Promise<unknown> {
  return lastValueFrom(client.emit(pattern, payload), { defaultValue: undefined });
}

@Injectable()
export class Registrations {
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
