import { redisEngine } from '../../../src/bullmq.js';
import { WorkerProcess } from '../../../src/index.js';

/** A process whose items kill it. */
const [url, prefix, maxDeaths] = process.argv.slice(2) as [string, string, string];
const workers = new WorkerProcess({
  engine: redisEngine({ url, prefix, leaseMs: 1_000, lapseCheckMs: 500, maxDeaths: Number(maxDeaths) }),
});
workers.register('type', {
  processItem: (item: string) => {
    process.stdout.write(`${item}\n`, () => process.kill(process.pid, 'SIGKILL'));
    return new Promise(() => {});
  },
});
await workers.start();
