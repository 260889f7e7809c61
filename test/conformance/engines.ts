import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { redisEngine } from '../../src/bullmq.js';
import {
  WorkerProcess,
  type EngineFactory,
  type Job,
  type JobProgress,
  type WorkerProcessOptionsInput,
} from '../../src/index.js';
import { createRedisNamespace, type RedisNamespace } from '../support/redis.js';

/** An engine that has to keep the promises. */
export interface EngineUnderTest {
  readonly name: 'memory' | 'redis';
}

export const memory: EngineUnderTest = { name: 'memory' };
export const redis: EngineUnderTest = { name: 'redis' };
export const engines: readonly EngineUnderTest[] = [memory, redis];

/** Tests that are over shall not be waited for: what they left runs against nobody's expectations. */
const OPTIONS: WorkerProcessOptionsInput = {
  shutdownTimeoutMs: 500,
  abortGraceMs: 100,
  retry: { limit: 3, backoffMs: 10, factor: 1, jitter: 0 },
};

/** Makes worker processes on one engine. Those of one test share their store; no two tests do. */
export class Processes {
  private readonly started: WorkerProcess[] = [];
  private namespace: RedisNamespace | undefined = undefined;
  private prefix = '';

  constructor(private readonly engine: EngineUnderTest) {}

  /** A process until the end of the test; on a durable engine, another one works on the same store. */
  start(options: WorkerProcessOptionsInput = {}): WorkerProcess {
    const process = new WorkerProcess({ ...OPTIONS, engine: this.makeEngine(), ...options });
    this.started.push(process);
    return process;
  }

  async open(): Promise<void> {
    if (this.engine.name === 'redis') this.namespace = await createRedisNamespace();
  }

  beginTest(): void {
    this.prefix = `conformance-${randomUUID()}`;
  }

  async endTest(): Promise<void> {
    await Promise.all(this.started.splice(0).map((process) => process.shutdown()));
  }

  async close(): Promise<void> {
    await this.namespace?.close();
  }

  private makeEngine(): EngineFactory | undefined {
    const { namespace, prefix } = this;
    return namespace === undefined ? undefined : redisEngine({ url: namespace.url, prefix });
  }
}

/** To be called in a `describe`. */
export function processesOn(engine: EngineUnderTest): Processes {
  const processes = new Processes(engine);
  beforeAll(() => processes.open());
  beforeEach(() => processes.beginTest());
  afterEach(() => processes.endTest());
  afterAll(() => processes.close());
  return processes;
}

/** The counts of a job as its engine has them, whether or not it has ended. */
export async function progressOf(process: WorkerProcess, job: Job): Promise<JobProgress> {
  return ((await process.findJob(job.id)) ?? job).progress();
}
