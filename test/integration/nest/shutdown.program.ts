import { Inject, Injectable, Module, type OnApplicationShutdown, type OnModuleDestroy } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import {
  closeWithWorkers,
  JOB_PROCESS_SETUP,
  JobProcess,
  Worker,
  WorkerModule,
  WorkerType,
  type JobProcessSetup,
} from '../../../src/index.js';
import { gate } from './gate.js';

/**
 * An application with a connection that closes in `onModuleDestroy`, as is usual with Prisma, and a worker that needs it
 * at its end. It prints what happens, and waits for a signal.
 */
const [closing, ending] = process.argv.slice(2) as [Closing, Ending];

export type Closing =
  | 'with workers'
  | 'with workers and a listener'
  | 'with workers at two signals'
  | 'with workers twice'
  | 'with workers twice, the last one at SIGTERM only'
  | 'by hooks';
export type Ending = 'finishes' | 'is signalled again' | 'hangs' | 'blocks' | 'fails';

/** Opens when the application has closed, or could not be. */
const over = gate();

@Injectable()
class Connection implements OnModuleDestroy, OnApplicationShutdown {
  isOpen = true;
  onModuleDestroy() {
    this.isOpen = false;
    console.log('connection closes');
  }
  onApplicationShutdown() {
    over.open();
  }
}

@Injectable()
class WatchedJobProcess extends JobProcess {
  private readonly ends = gate();
  /** Resolves when the shutdown begins. */
  readonly shutdownBegins = this.ends.opened;

  constructor(@Inject(JOB_PROCESS_SETUP) setup: JobProcessSetup) {
    super(setup);
  }

  override async shutdown(): Promise<void> {
    this.ends.open();
    await super.shutdown();
    if (ending !== 'fails') return;
    over.open();
    throw new Error('what was done could not be written down');
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
    await (this.jobs as WatchedJobProcess).shutdownBegins;
    if (ending === 'hangs' || ending === 'blocks') {
      console.log(`${item} ${ending}`);
      if (ending === 'blocks') for (;;);
      return new Promise(() => setInterval(() => undefined, 60_000));
    }
    if (ending === 'is signalled again') {
      const again = once(process, 'SIGTERM');
      process.kill(process.pid, 'SIGTERM');
      await again;
    }
    console.log(`${item} ends, connection ${this.connection.isOpen ? 'open' : 'closed'}`);
    return undefined;
  }
}

@Module({
  imports: [WorkerModule.forRoot({ maxConcurrency: 1, jobProcess: WatchedJobProcess })],
  providers: [Connection, SlowWorker],
})
class AppModule {}

@WorkerType('slower', { timeoutMs: 0 })
class SlowerWorker extends Worker<string> {
  override async processItem(item: string) {
    console.log(`${item} starts`);
    await over.opened;
    // Longer than the process would live if the other application ended it.
    await delay(300);
    console.log(`${item} ends`);
  }
}

/** Another application of the same process, whose item ends when the first one has closed. */
@Module({ imports: [WorkerModule.forRoot()], providers: [SlowerWorker] })
class OtherModule {}

const app = await NestFactory.create(AppModule, { logger: false });
if (closing === 'by hooks') app.enableShutdownHooks();
else closeWithWorkers(app);
if (closing === 'with workers and a listener') {
  process.on('SIGTERM', () => console.log('listener is told of SIGTERM'));
}
if (closing === 'with workers twice, the last one at SIGTERM only') {
  // With nobody but us there, the signal would end the process by itself.
  process.on('SIGINT', () => console.log('listener is told of SIGINT'));
}
if (closing === 'with workers at two signals') {
  process.prependOnceListener('SIGTERM', () => process.kill(process.pid, 'SIGINT'));
}
await app.listen(0, '127.0.0.1');
if (closing === 'with workers twice' || closing === 'with workers twice, the last one at SIGTERM only') {
  const other = await NestFactory.createApplicationContext(OtherModule, { logger: false });
  closeWithWorkers(other, closing === 'with workers twice' ? {} : { signals: ['SIGTERM'] });
  await other.get(JobProcess).distributeWork('slower', 'other item');
}
// The second one waits when the signal comes, and is worked on all the same.
const items = ending === 'hangs' || ending === 'blocks' ? ['item 1'] : ['item 1', 'item 2'];
await app.get(JobProcess).distributeWork('slow', items);
