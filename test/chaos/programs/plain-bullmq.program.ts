/** Plain BullMQ in place of the engine: shows that the suite notices what it is there to notice. */
import { Queue, Worker } from 'bullmq';
import { MOST_ATTEMPTS, RETRY_BACKOFF_MS, fateOf, type ChaosItem } from '../chaos-item.js';
import type { EngineUnderTest, SeenLetter } from './engine-under-test.js';
import type { ProgramPlan } from './messages.js';
import { runProgram } from './run-program.js';

const QUEUE = 'items';
const MAX_CONCURRENCY = 10;
const LEASE_MS = 1_000;
/** Stalled so often, a job fails: the way out for poison. */
const MOST_STALLS = 3;
const FORGETS_EVERY = 20;

class PlainBullmq implements EngineUnderTest {
  private readonly queue: Queue<ChaosItem>;
  private worker: Worker<ChaosItem> | undefined;
  private handled = 0;

  constructor(private readonly plan: ProgramPlan) {
    this.queue = new Queue(QUEUE, { ...this.connection(1) });
    this.queue.on('error', () => undefined);
  }

  async work(handle: (item: ChaosItem, attempt: number) => Promise<void>): Promise<void> {
    const { leaseMs = LEASE_MS } = this.plan;
    this.worker = new Worker(
      QUEUE,
      async ({ data, attemptsMade }) => {
        if (!this.forgets(data)) await handle(data, attemptsMade + 1);
      },
      {
        ...this.connection(null),
        concurrency: MAX_CONCURRENCY,
        lockDuration: leaseMs,
        stalledInterval: leaseMs,
        maxStalledCount: MOST_STALLS,
      },
    );
    this.worker.on('error', () => undefined);
    await this.worker.waitUntilReady();
  }

  async submit(items: readonly ChaosItem[]): Promise<void> {
    await this.queue.addBulk(
      items.map((data) => ({
        name: 'item',
        data,
        opts: {
          attempts: MOST_ATTEMPTS,
          backoff: { type: 'fixed', delay: RETRY_BACKOFF_MS },
          removeOnComplete: true,
        },
      })),
    );
  }

  async deadLetters(): Promise<SeenLetter[]> {
    const jobs = await this.queue.getFailed();
    return jobs.map(({ data, failedReason }) => ({ item: data, reason: failedReason }));
  }

  async openItems(): Promise<number> {
    return this.queue.getJobCountByTypes('wait', 'active', 'delayed', 'prioritized');
  }

  async close(): Promise<void> {
    await this.worker?.close();
    await this.queue.close();
  }

  private forgets({ name }: ChaosItem): boolean {
    return this.plan.isForgetful && fateOf(name) === 'good' && ++this.handled % FORGETS_EVERY === 0;
  }

  private connection(maxRetriesPerRequest: number | null) {
    return { connection: { url: this.plan.redisUrl, maxRetriesPerRequest }, prefix: this.plan.prefix };
  }
}

await runProgram((plan) => new PlainBullmq(plan));
