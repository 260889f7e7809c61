/** The durable engine of this package, as the programs of the suite use it. */
import { redisEngine } from '../../../src/bullmq.js';
// Not by the main entry: it brings Nest along, which takes seconds of each process that replaces a killed one.
import { WorkerProcess } from '../../../src/core/worker-process.js';
import { MOST_ATTEMPTS, RETRY_BACKOFF_MS, type ChaosItem } from '../chaos-item.js';
import type { EngineUnderTest, SeenLetter } from './engine-under-test.js';
import type { ProgramPlan } from './messages.js';
import { runProgram } from './run-program.js';

const TYPE = 'item';
const MAX_CONCURRENCY = 10;
const TIME_LIMIT_MS = 10_000;
const LETTER_PAGE = 1_000;

class DurableEngine implements EngineUnderTest {
  private readonly jobs: WorkerProcess;
  private handle: (item: ChaosItem, attempt: number) => Promise<void> = () =>
    Promise.reject(new Error('Expected this process to work on nothing'));

  constructor({ redisUrl, prefix, leaseMs }: ProgramPlan) {
    const lease = leaseMs === undefined ? {} : { leaseMs, lapseCheckMs: leaseMs };
    this.jobs = new WorkerProcess({
      engine: redisEngine({ url: redisUrl, prefix, ...lease }),
      maxConcurrency: MAX_CONCURRENCY,
      // Only those that work on items call `start`.
      autoStart: false,
      // What waits stays in the queue.
      drainOnShutdown: false,
    });
    this.jobs.register(TYPE, {
      processItem: (item: ChaosItem, { attempt }) => this.handle(item, attempt),
      timeoutMs: TIME_LIMIT_MS,
      retry: { limit: MOST_ATTEMPTS - 1, backoffMs: RETRY_BACKOFF_MS },
    });
  }

  async work(handle: (item: ChaosItem, attempt: number) => Promise<void>): Promise<void> {
    this.handle = handle;
    await this.jobs.start();
  }

  async submit(items: readonly ChaosItem[]): Promise<void> {
    const [only] = items;
    await this.jobs.distributeWork(TYPE, items.length === 1 ? only : items, { track: true });
  }

  async deadLetters(): Promise<SeenLetter[]> {
    const letters: SeenLetter[] = [];
    for (let after = 0; ;) {
      const page = await this.jobs.deadLetters({ type: TYPE, limit: LETTER_PAGE, after });
      for (const { payload, reason } of page) letters.push({ item: payload as ChaosItem, reason });
      const last = page.at(-1);
      if (!last) return letters;
      after = last.sequence;
    }
  }

  async openItems(): Promise<number> {
    const { waiting, delayed, active } = await this.jobs.depth(TYPE);
    return waiting.items + delayed.items + active.items;
  }

  close(): Promise<void> {
    return this.jobs.shutdown();
  }
}

await runProgram((plan) => new DurableEngine(plan));
