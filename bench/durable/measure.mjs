// One measurement in a process of its own: node measure.mjs '{"contender": …, "shape": …}', prints the result as JSON.
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { percentile } from '../harness/statistics.mjs';
import { contenders } from './contenders.mjs';
import { emptyStore, usedRedisMemory } from './empty-store.mjs';
import { makeItems } from './items.mjs';
import { createTally } from './tally.mjs';

const CALLERS = 1_000;
const WARM_UP_SHARE = 0.1;
const LEAST_WARM_UP_ITEMS = 3_000;
const REST_MS = 200;
const STOP_LIMIT_MS = 5_000;

const { contender: name, shape, url, items: count, failEvery = 0, perSecond } = JSON.parse(process.argv[2]);

const shapes = { 'end to end': endToEnd, 'awaited singles': awaitedSingles, paced };

await emptyStore(url);
const tally = createTally();
const contender = await contenders[name]({ url, handle: tally.handle, retries: failEvery > 0 });
process.stdout.write(JSON.stringify(await (shape === 'memory' ? memory() : measured(shapes[shape]))));
await Promise.race([contender.stop(), delay(STOP_LIMIT_MS)]);
process.exit(0);

/** First a part of it, so that nobody is timed while code is being compiled and scripts are being loaded. */
async function measured(run) {
  await contender.consume();
  const warmUpItems = Math.min(count, Math.max(LEAST_WARM_UP_ITEMS, count * WARM_UP_SHARE));
  // At their pace, they would take as long as the measurement.
  await (shape === 'paced' ? awaitedSingles : run)(makeItems(warmUpItems));
  await delay(REST_MS);
  const items = makeItems(count);
  globalThis.gc();
  const result = await run(items);
  return { ...result, runTwice: tally.runTwice };
}

/** Stored and worked off at the same time; the clock stops when the last item has been handled. */
async function endToEnd(items) {
  const done = tally.expect(items.length, failEvery);
  const startedMs = performance.now();
  await Promise.all([contender.pushAll(items), done]);
  return rate(items, startedMs);
}

/** Many callers, each of which stores an item and waits until it is stored. */
async function awaitedSingles(items) {
  const done = tally.expect(items.length);
  const startedMs = performance.now();
  let next = 0;
  const call = async () => {
    while (next < items.length) await contender.push(items[next++]);
  };
  await Promise.all([done, ...Array.from({ length: CALLERS }, call)]);
  return rate(items, startedMs);
}

/** Items at an even pace: how long each takes from its submission to its handler. */
async function paced(items) {
  const done = tally.expect(items.length);
  const startedMs = performance.now();
  const pushes = [];
  while (pushes.length < items.length) {
    const due = Math.floor(((performance.now() - startedMs) * perSecond) / 1_000);
    while (pushes.length < Math.min(due, items.length)) {
      const item = items[pushes.length];
      item.at = performance.now();
      pushes.push(contender.push(item));
    }
    await delay(1);
  }
  await Promise.all([done, ...pushes]);
  return {
    ...rate(items, startedMs),
    p50Ms: percentile(tally.waits, 0.5),
    p99Ms: percentile(tally.waits, 0.99),
  };
}

/** What a stored item costs the server while nobody takes it. */
async function memory() {
  await contender.hold();
  const items = makeItems(count);
  const before = Math.ceil(count * WARM_UP_SHARE);
  await contender.pushAll(items.slice(0, before));
  const beforeBytes = await usedRedisMemory(url);
  await contender.pushAll(items.slice(before));
  return { bytesPerItem: ((await usedRedisMemory(url)) - beforeBytes) / (count - before) };
}

function rate(items, startedMs) {
  return { itemsPerSecond: (items.length / (performance.now() - startedMs)) * 1_000 };
}
