import { Inject, Injectable, Module, type OnModuleDestroy } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { once } from 'node:events';
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

export type Closing = 'with workers' | 'with workers and a listener' | 'by hooks';
export type Ending = 'finishes' | 'is signalled again' | 'hangs' | 'blocks' | 'fails';

@Injectable()
class Connection implements OnModuleDestroy {
  isOpen = true;
  onModuleDestroy() {
    this.isOpen = false;
    console.log('connection closes');
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
    if (ending === 'fails') throw new Error('what was done could not be written down');
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

const app = await NestFactory.create(AppModule, { logger: false });
if (closing === 'by hooks') app.enableShutdownHooks();
else closeWithWorkers(app);
if (closing === 'with workers and a listener') {
  process.on('SIGTERM', () => console.log('listener is told of SIGTERM'));
}
await app.listen(0, '127.0.0.1');
// The second one waits when the signal comes, and is worked on all the same.
const items = ending === 'hangs' || ending === 'blocks' ? ['item 1'] : ['item 1', 'item 2'];
await app.get(JobProcess).distributeWork('slow', items);
