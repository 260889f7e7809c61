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
  type ClosingOptions,
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
  | 'with workers twice, the last one at SIGINT only'
  | 'with workers twice, the last one made at the end'
  | 'with workers beside a slow application without them'
  | 'with workers beside an application that has closed'
  | 'with workers, then by hooks'
  | 'by hooks';
export type Ending = 'finishes' | 'is signalled again' | 'hangs' | 'blocks' | 'fails';

/** Opens when the application has closed, or could not be. */
const over = gate();
/** Opens when the item of the other application is worked on. */
const otherWorks = gate();
/** Longer than the process would live if the first application that is done ended it. */
const LONGER_MS = 300;

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
    if (closing === 'with workers twice, the last one made at the end') await otherWorks.opened;
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
    otherWorks.open();
    await over.opened;
    await delay(LONGER_MS);
    console.log(`${item} ends`);
  }
}

/** Another application of the same process, whose item ends when the first one has closed. */
@Module({ imports: [WorkerModule.forRoot()], providers: [SlowerWorker] })
class OtherModule {}

async function startOther(options: ClosingOptions): Promise<void> {
  const other = await NestFactory.createApplicationContext(OtherModule, { logger: false });
  closeWithWorkers(other, options);
  await other.get(JobProcess).distributeWork('slower', 'other item');
}

/** Another one, without work, that closes when the first one has: at last by its module, as the connections of TypeORM do. */
@Module({})
class PlainModule implements OnApplicationShutdown {
  async onApplicationShutdown() {
    await over.opened;
    await delay(LONGER_MS);
    console.log('plain application closes');
  }
}

/** One that does not wait for the first one. */
@Module({})
class ClosedModule implements OnModuleDestroy {
  onModuleDestroy() {
    console.log('closed application closes');
  }
}

const app = await NestFactory.create(AppModule, { logger: false });
if (closing === 'by hooks') app.enableShutdownHooks();
else closeWithWorkers(app);
await app.listen(0, '127.0.0.1');
switch (closing) {
  case 'with workers':
  case 'by hooks':
    break;
  case 'with workers, then by hooks':
    app.enableShutdownHooks();
    break;
  case 'with workers and a listener':
    process.on('SIGTERM', () => console.log('listener is told of SIGTERM'));
    break;
  case 'with workers at two signals':
    process.prependOnceListener('SIGTERM', () => process.kill(process.pid, 'SIGINT'));
    break;
  case 'with workers twice':
    await startOther({});
    break;
  case 'with workers twice, the last one at SIGTERM only':
    // With nobody but us there, the signal would end the process by itself.
    process.on('SIGINT', () => console.log('listener is told of SIGINT'));
    await startOther({ signals: ['SIGTERM'] });
    break;
  case 'with workers twice, the last one at SIGINT only':
    await startOther({ signals: ['SIGINT'] });
    break;
  case 'with workers twice, the last one made at the end':
    void app.get(WatchedJobProcess).shutdownBegins.then(() => startOther({}));
    break;
  case 'with workers beside a slow application without them':
    closeWithWorkers(await NestFactory.createApplicationContext(PlainModule, { logger: false }));
    break;
  case 'with workers beside an application that has closed': {
    const closed = await NestFactory.createApplicationContext(ClosedModule, { logger: false });
    closeWithWorkers(closed);
    await closed.close();
    break;
  }
  default:
    closing satisfies never;
}
// The second one waits when the signal comes, and is worked on all the same.
const items = ending === 'hangs' || ending === 'blocks' ? ['item 1'] : ['item 1', 'item 2'];
await app.get(JobProcess).distributeWork('slow', items);
