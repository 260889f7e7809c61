import { Injectable, Module, type OnModuleDestroy } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { closeWithWorkers, JobProcess, Worker, WorkerModule, WorkerType } from '../../../src/index.js';

/**
 * An application with a connection that closes in `onModuleDestroy`, as is usual with Prisma, and a worker that needs it
 * at its end. It prints what happens, and waits for a signal.
 */
const [closing, ending] = process.argv.slice(2) as ['with workers' | 'by hooks', 'finishes' | 'hangs'];

@Injectable()
class Connection implements OnModuleDestroy {
  isOpen = true;
  onModuleDestroy() {
    this.isOpen = false;
    console.log('connection closes');
  }
}

@WorkerType('slow', { timeoutMs: 0 })
class SlowWorker extends Worker<string> {
  constructor(
    private readonly connection: Connection,
    private readonly jobs: JobProcess,
  ) {
    super();
  }

  override async processItem(item: string) {
    console.log(`${item} starts`);
    while (!this.jobs.isClosed) await new Promise((resolve) => setTimeout(resolve, 5));
    if (ending === 'hangs') {
      console.log(`${item} hangs`);
      return new Promise(() => setInterval(() => undefined, 60_000));
    }
    console.log(`${item} ends, connection ${this.connection.isOpen ? 'open' : 'closed'}`);
    return undefined;
  }
}

@Module({ imports: [WorkerModule.forRoot({ maxConcurrency: 1 })], providers: [Connection, SlowWorker] })
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: false });
if (closing === 'with workers') closeWithWorkers(app);
else app.enableShutdownHooks();
await app.listen(0, '127.0.0.1');
// The second one waits when the signal comes, and is worked on all the same.
await app.get(JobProcess).distributeWork('slow', ending === 'hangs' ? ['item 1'] : ['item 1', 'item 2']);
