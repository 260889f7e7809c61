import {
  Injectable,
  Module,
  UseGuards,
  type CanActivate,
  type ExecutionContext,
  type OnModuleDestroy,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientProxyFactory, Transport } from '@nestjs/microservices';
import { ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import {
  closeWithWorkers,
  CursorJob,
  InjectWorkerType,
  JobProcess,
  MessageJob,
  Worker,
  WorkerModule,
  WorkerType,
  type CursorRunResult,
  type CursorSource,
  type MessageReceipt,
  type WorkerTypeDoor,
} from '../../src/index.js';

// One application with what the library asks of Nest, for a version of Nest that is not the one of this repository.
// It prints what it has come through, a line each, and ends by a signal while there is work.

interface Letter {
  readonly to: string;
}

const sent: string[] = [];

@WorkerType('letters', { maxConcurrency: 1 })
class LetterWorker extends Worker<Letter> {
  override async processItem({ to }: Letter): Promise<void> {
    if (to === 'last') process.kill(process.pid, 'SIGTERM');
    await new Promise((resolve) => setImmediate(resolve));
    sent.push(to);
  }
}

@CursorJob({ name: 'address-book', worker: 'letters', cron: '* * * * * *', pageSize: 2 })
class AddressBook implements CursorSource<Letter, number> {
  fetchPage(cursor: number | undefined, limit: number) {
    const from = cursor ?? 0;
    const items = ['a', 'b', 'c'].slice(from, from + limit).map((to) => ({ to }));
    return Promise.resolve({ items, next: from + limit < 3 ? from + limit : undefined });
  }
}

class StampGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return context.switchToRpc().getData<{ stamped?: boolean }>().stamped === true;
  }
}

@Injectable()
class Letterbox {
  @UseGuards(StampGuard)
  @MessageJob('letter.posted', { worker: 'letters' })
  toItems({ to }: Letter): Letter {
    return { to };
  }
}

/** What a worker uses: it closes when all is sent. */
@Injectable()
class PostOffice implements OnModuleDestroy {
  constructor(@InjectWorkerType('letters') readonly letters: WorkerTypeDoor<Letter>) {}

  onModuleDestroy(): void {
    assert.deepEqual(sent.slice(-2), ['last', 'behind the last']);
    pass('ordered shutdown');
  }
}

@Module({
  imports: [ScheduleModule.forRoot(), WorkerModule.forRoot({ maxConcurrency: 2 })],
  providers: [LetterWorker, AddressBook, Letterbox, PostOffice],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'], abortOnError: false });
  const port = await freePort();
  app.connectMicroservice({ transport: Transport.TCP, options: { host: '127.0.0.1', port } });
  closeWithWorkers(app);
  await app.startAllMicroservices();
  await app.init();

  await runByCron(app.get(JobProcess), app.get(SchedulerRegistry));
  await distribute(app.get(JobProcess));
  await submitByDoor(app.get(PostOffice).letters);
  await sendMessages(port);
  await app.get(PostOffice).letters.distributeWork([{ to: 'last' }, { to: 'behind the last' }]);
}

async function runByCron(jobs: JobProcess, registry: SchedulerRegistry): Promise<void> {
  const run = await new Promise<CursorRunResult & { cause: string }>((resolve) =>
    jobs.on('cursorRunEnded', resolve),
  );
  void registry.getCronJob('cursor-job:address-book').stop();
  assert.deepEqual([run.cause, run.status, run.items], ['cron', 'completed', 3]);
  assert.deepEqual(sent, ['a', 'b', 'c']);
  pass('cron of a cursor job');
}

async function distribute(jobs: JobProcess): Promise<void> {
  const job = await jobs.distributeWork('letters', [{ to: 'd' }, { to: 'e' }]);
  const { status, done } = await job.completed;
  assert.deepEqual({ status, done }, { status: 'completed', done: 2 });
  pass('distributeWork');
}

async function submitByDoor(letters: WorkerTypeDoor<Letter>): Promise<void> {
  // @ts-expect-error the door knows the payloads of its type
  const wrong = () => letters.offer({ at: 'f' });
  assert.equal(typeof wrong, 'function');
  assert.equal(letters.offer({ to: 'f' }), true);
  await letters.waitForCompletion();
  assert.ok(sent.includes('f'));
  pass('typed door');
}

async function sendMessages(port: number): Promise<void> {
  const client = ClientProxyFactory.create({
    transport: Transport.TCP,
    options: { host: '127.0.0.1', port },
  });
  const post = (letter: object) =>
    new Promise<MessageReceipt>((resolve, reject) => {
      client.send<MessageReceipt>('letter.posted', letter).subscribe({ next: resolve, error: reject });
    });
  try {
    const { items, done, failed } = await post({ to: 'g', stamped: true });
    assert.deepEqual({ items, done, failed }, { items: 1, done: 1, failed: 0 });
    pass('message over TCP');
    await assert.rejects(post({ to: 'h' }), { message: 'Forbidden resource' });
    assert.ok(!sent.includes('h'));
    pass('guard of a message');
  } finally {
    await client.close();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function pass(what: string): void {
  console.log(what);
}

// What fails ends the process by its code.
void main();
