// Bytes that are allocated for an item on its way through: node allocations-measure.mjs '{"way": …, "items": …}'.
// Needs a young generation so large that nothing is collected meanwhile: then what the heap grew by was allocated.
import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { WorkerProcess } from '../../dist/index.js';

const TYPE = 'measured';
const WARM_UP_ROUNDS = 4;

const { way, items: count } = JSON.parse(process.argv[2]);

let left = 0;
let finish;
const done = (items) => {
  left -= items;
  if (left === 0) finish();
};

const worker = new WorkerProcess({ maxConcurrency: 10, maxQueueSize: 10 * count, timeoutMs: 30_000 });
const definitions = {
  'sync handler, offer': { processItem: () => done(1) },
  'async handler, offer': { processItem: async () => done(1) },
  'async handler, one bulk call': { processItem: async () => done(1) },
  'batches of 100, offer': { processBatch: async (items) => done(items.length), batchSize: 100 },
  'awaited call an item': { processItem: () => done(1) },
  'retried once': {
    processItem: (_, context) => {
      if (context.attempt === 1) throw FAILURE;
      done(1);
    },
    retry: { backoffMs: 0 },
  },
};
const FAILURE = new Error('failed on purpose');
worker.register(TYPE, definitions[way]);

const items = Array.from({ length: count }, (_, id) => ({ id }));
for (let round = 0; round < WARM_UP_ROUNDS; round++) await pass();
globalThis.gc();
await delay(20);

let collections = 0;
new PerformanceObserver((list) => (collections += list.getEntries().length)).observe({ entryTypes: ['gc'] });
const before = process.memoryUsage().heapUsed;
await pass();
const bytesPerItem = (process.memoryUsage().heapUsed - before) / count;
await delay(20);
process.stdout.write(JSON.stringify({ bytesPerItem, collections }));
process.exit(0);

async function pass() {
  left = count;
  const finished = new Promise((resolve) => (finish = resolve));
  if (way === 'async handler, one bulk call') await worker.distributeWork(TYPE, items);
  else if (way === 'awaited call an item')
    for (let i = 0; i < count; i++) await worker.distributeWork(TYPE, items[i]);
  // By index: an iterator would allocate more than the core does.
  else for (let i = 0; i < count; i++) worker.offer(TYPE, items[i]);
  await finished;
}
