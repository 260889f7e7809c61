import { NAME } from './packed-library.js';

/** What an application in the old module system may write. */
export const OLD_APPLICATION = `
import { WorkerProcess } from '${NAME}';
import { redisEngine } from '${NAME}/bullmq';
import { getWorkerEntities } from '${NAME}/typeorm';
export const types: string[] = new WorkerProcess().types;
export const engine: string = redisEngine({ url: 'redis://127.0.0.1' }).name;
export const entities: number = getWorkerEntities().length;
`;

/** What an application may write, in strict TypeScript. */
export const APPLICATION = `
import { Inject, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  closeWithWorkers, CursorJob, InjectWorkerType, JOB_PROCESS_SETUP, JobProcess, MemoryCursorCache, MessageJob,
  thresholdScaling, UnrecoverableError, Worker, WorkerModule, WorkerPool, WorkerProcess, WorkerType, WorkerTypeDoor,
  type BatchContext, type CursorCache, type CursorSource, type DeadLetter, type ItemContext, type Job,
  type JobProcessSetup, type JobResult, type MessageReceipt, type Page, type RetryPolicy, type ScalingPolicy, type Source, type SubmitOptions,
  type UnfinishedItem, type UploadStore, type WorkCounts, type WorkerModuleOptions, type WorkerProcessEvents,
} from '${NAME}';

interface User { readonly name: string }

@WorkerType('users', { batchSize: 100, timeoutMs: 30_000, retry: { limit: 3, backoffMs: 1_000 } })
class UserWorker extends Worker<User> {
  override processBatch(users: readonly User[], context: BatchContext) {
    users.forEach(({ name }, place) => { if (name === '') context.fail(place, new UnrecoverableError('no name')); });
  }
}

@WorkerType('quotes')
class QuoteWorker extends Worker<number> {
  override async processItem(quote: number, { signal, attempt }: ItemContext) {
    signal.throwIfAborted();
    return quote * attempt;
  }
}

@CursorJob({ name: 'quotes', worker: 'quotes', cron: '*/5 * * * *', pageSize: 500 })
class Quotes implements CursorSource<number, string> {
  fetchPage(cursor: string | undefined, limit: number): Promise<Page<number, string>> {
    return Promise.resolve({ items: [limit], next: cursor === undefined ? 'x' : undefined });
  }
}

@Injectable()
class Registrations {
  constructor(@InjectWorkerType('users') readonly users: WorkerTypeDoor<User>, readonly pool: WorkerPool) {}
  @MessageJob('user.registered', { worker: 'users' })
  toItems(payload: User) { return payload; }
  async submit(): Promise<JobResult> {
    // @ts-expect-error the door knows the payloads of its type
    this.users.offer({ nom: 'Ada' });
    return (await this.users.distributeWork([{ name: 'Ada' }])).completed;
  }
}

@Injectable()
class MyJobs extends JobProcess {
  constructor(@Inject(JOB_PROCESS_SETUP) setup: JobProcessSetup) { super(setup); }
  submitNightly(): Promise<Job> {
    this.refuseWhenClosed('submitNightly()');
    return this.distributeWork('users', this.events.has('attempt') ? [] : [this.options.shutdownTimeoutMs]);
  }
  override async shutdown() { await super.shutdown(); }
}

class SmallProcess extends WorkerProcess {
  constructor() { super({ maxConcurrency: 1 }); }
  override distributeWork<Payload>(type: string, source: Source<Payload>, options?: SubmitOptions) {
    return super.distributeWork(type, source, { track: true, ...options });
  }
}

const policy: ScalingPolicy = (input) => thresholdScaling(input) * 2;
const options: WorkerModuleOptions = {
  scalingPolicy: policy, jobProcess: MyJobs, cursorCache: new MemoryCursorCache(), workers: { users: { maxConcurrency: 2 } },
  onUnfinished: (items: readonly UnfinishedItem[]) => console.log(items.length),
};
@Module({ imports: [WorkerModule.forRoot(options)], providers: [UserWorker, QuoteWorker, Quotes, Registrations] })
class AppModule {}

const app = await NestFactory.create(AppModule);
closeWithWorkers(app);
const jobs = app.get(JobProcess);
const workers: number = app.get(WorkerPool).workerCount();
const job = await jobs.distributeWork('users', [{ name: 'Ada' }]);
// @ts-expect-error how a job counts is its own affair
job.accept(workers);
jobs.on('cursorRunEnded', ({ name, cause }) => console.log(name, cause satisfies 'cron' | 'manual' | 'message'));
jobs.on('uploadEnded', ({ uploadId, failed }) => console.log(uploadId, failed + 1));
jobs.on('deadLetter', (letter: DeadLetter) => console.log(letter.reason));
const subscription = await jobs.processQueueMessages<User>('users', (deliver) => {
  void deliver({ name: 'Ada' }).then((receipt: MessageReceipt) => receipt.done);
  return () => undefined;
}, { toItems: ({ name }) => ({ name }) });
await subscription.close();
new SmallProcess().register('plain', { processItem: (text: string) => text.length });
export type Names = [CursorCache, RetryPolicy, Source<User>, UploadStore, WorkCounts, WorkerProcessEvents];
`;
