// One measurement in a process of its own: node measure.mjs '{"contender": …, "shape": …}', prints the result as JSON.
import { performance, PerformanceObserver } from 'node:perf_hooks';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { percentile } from '../harness/statistics.mjs';
import { contenders } from './contenders.mjs';

const WARM_UP_ITEMS = 100_000;
const STEADY_ITEMS = 1_000;
const RING_ITEMS = 5;
const PACED_PER_SECOND = 10_000;

const { contender: name, shape, isAsync = true, items: count, failureRate = 0 } = JSON.parse(process.argv[2]);

const counter = createCounter();
const handler = createHandler();
const contender = await contenders[name](handler);
const shapes = { flood, steady, ring, drain, memory, paced };

// In the shape that is measured, so that nobody is timed while its code is still being compiled.
if (shape !== 'memory' && shape !== 'paced') await shapes[shape](makeItems(Math.min(count, WARM_UP_ITEMS)));
await delay(20);
const measured = makeItems(count);
// The clock shall measure the queues: what the items left behind is collected before.
globalThis.gc();
process.stdout.write(JSON.stringify(await shapes[shape](measured)));
process.exit(0);

/** Counts items that are done, and tells when the last one is. */
function createCounter() {
  let left = 0;
  let resolve;
  return {
    expect(items) {
      left = items;
      return new Promise((settle) => (resolve = settle));
    },
    done(items) {
      left -= items;
      if (left === 0) resolve();
    },
    get left() {
      return left;
    },
  };
}

function createHandler() {
  if (shape === 'paced') {
    const one = isAsync ? async (item) => void paced.done(item) : (item) => paced.done(item);
    return { one, many: (items) => items.forEach(one), isAsync };
  }
  if (shape === 'ring') {
    const one = async (item) => {
      counter.done(1);
      ring.next?.(item);
    };
    return { one, many: undefined, isAsync: true };
  }
  if (failureRate > 0) return failingHandler();
  const one = isAsync ? async () => counter.done(1) : () => counter.done(1);
  const many = isAsync ? async (items) => counter.done(items.length) : (items) => counter.done(items.length);
  return { one, many, isAsync };
}

/** Fails the first attempt of every n-th item. */
function failingHandler() {
  const every = Math.round(1 / failureRate);
  const one = async (item, context) => {
    if (item.id % every === 0 && context.attempt === 1) throw FAILURE;
    counter.done(1);
  };
  return { one, many: undefined, isAsync: true };
}

var FAILURE;

function makeItems(items) {
  FAILURE ??= new Error('failed on purpose');
  return Array.from({ length: items }, (_, id) => ({ id, at: 0 }));
}

/** All at once, in one synchronous block or one call; the clock runs from the first push. */
async function flood(items) {
  const stall = watchStalls();
  await turn();
  const done = counter.expect(items.length);
  const startedMs = performance.now();
  if (contender.pushAll === undefined) pushEach(items);
  else await contender.pushAll(items);
  await done;
  return { ...rate(items, startedMs), ...(await stall.stop()) };
}

/** A few at a time: as many as are waiting at a moment, no more than 1,000. */
async function steady(items) {
  const stall = watchStalls();
  const done = counter.expect(items.length);
  const startedMs = performance.now();
  let pushed = 0;
  while (pushed < items.length) {
    while (pushed < items.length && pushed - (items.length - counter.left) < STEADY_ITEMS)
      void contender.push(items[pushed++]);
    await turn();
  }
  await done;
  return { ...rate(items, startedMs), ...(await stall.stop()) };
}

/** Five at a time, below every threshold: each that is done makes room for the next. */
async function ring(items) {
  const stall = watchStalls();
  const done = counter.expect(items.length);
  const startedMs = performance.now();
  let pushed = 0;
  ring.next = () => {
    if (pushed < items.length) void contender.push(items[pushed++]);
  };
  for (let item = 0; item < RING_ITEMS; item++) ring.next();
  await done;
  return { ...rate(items, startedMs), ...(await stall.stop()) };
}

/** A full queue is let go; the clock runs from then. */
async function drain(items) {
  contender.pause();
  const done = counter.expect(items.length);
  pushEach(items);
  await delay(20);
  const stall = watchStalls();
  await turn();
  const startedMs = performance.now();
  contender.resume();
  await done;
  return { ...rate(items, startedMs), ...(await stall.stop()) };
}

/** What a waiting item costs beyond its payload. */
async function memory(items) {
  contender.pause();
  globalThis.kept = items;
  const before = await heapBytes();
  pushEach(items);
  return { bytesPerItem: ((await heapBytes()) - before) / items.length };
}

/** Items at an even pace, far below what is possible: how long each waits until its handler runs. */
async function paced(items) {
  const waits = [];
  const done = counter.expect(items.length);
  paced.done = (item) => {
    waits.push(performance.now() - item.at);
    counter.done(1);
  };
  const startedMs = performance.now();
  let pushed = 0;
  while (pushed < items.length) {
    const due = Math.min(
      items.length,
      Math.floor(((performance.now() - startedMs) * PACED_PER_SECOND) / 1_000),
    );
    while (pushed < due) {
      items[pushed].at = performance.now();
      void contender.push(items[pushed++]);
    }
    await turn();
  }
  await done;
  return { p50Us: percentile(waits, 0.5) * 1_000, p99Us: percentile(waits, 0.99) * 1_000 };
}

/** By index: an iterator would allocate more than some of the contenders do. */
function pushEach(items) {
  for (let i = 0; i < items.length; i++) void contender.push(items[i]);
}

function rate(items, startedMs) {
  return { itemsPerSecond: (items.length / (performance.now() - startedMs)) * 1_000 };
}

/** The longest time for which a timer of 1 ms was kept waiting; and the same without the garbage collections in it. */
function watchStalls() {
  const gaps = [];
  const collections = [];
  const observer = new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) collections.push({ startTime, duration });
  });
  observer.observe({ entryTypes: ['gc'] });
  let lastMs = performance.now();
  const look = () => {
    const nowMs = performance.now();
    if (nowMs - lastMs > 2) gaps.push({ from: lastMs, to: nowMs });
    lastMs = nowMs;
  };
  const timer = setInterval(look, 1);
  return {
    async stop() {
      await delay(5);
      clearInterval(timer);
      observer.disconnect();
      const own = gaps.map(({ from, to }) => to - from - collectingMs(collections, from, to));
      return {
        stallMs: Math.max(0, ...gaps.map(({ from, to }) => to - from)),
        stallWithoutCollectionMs: Math.max(0, ...own),
      };
    },
  };
}

function collectingMs(collections, from, to) {
  return collections
    .filter(({ startTime }) => startTime >= from && startTime < to)
    .reduce((sum, { duration }) => sum + duration, 0);
}

async function heapBytes() {
  globalThis.gc();
  await delay(50);
  globalThis.gc();
  return process.memoryUsage().heapUsed;
}
