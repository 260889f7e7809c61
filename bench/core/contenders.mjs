// Us and our peers behind one face. Each is given a handler and starts to take items; `push` is its usual way in for one
// item, `pushAll` its way in for many where it has one. All run 10 at a time, and batches are of 100.
import { cargoQueue, queue as asyncQueue } from 'async';
import DataLoader from 'dataloader';
import fastq from 'fastq';
import PQueue from 'p-queue';
import { WorkerProcess } from '../../dist/index.js';
import { startNestApplication } from './through-nest.mjs';

export const CONCURRENCY = 10;
const BATCH_SIZE = 100;
const TYPE = 'measured';

const ignore = () => undefined;

/**
 * @typedef {object} Contender
 * @property {(item: unknown) => unknown} push
 * @property {((items: unknown[]) => Promise<unknown>) | undefined} pushAll
 * @property {() => void} pause
 * @property {() => void} resume
 */

/** As a service would have it: a time limit, three retries, dead letters, and somebody who listens. */
const OUR_OPTIONS = {
  maxConcurrency: CONCURRENCY,
  maxQueueSize: 20_000_000,
  timeoutMs: 30_000,
  retry: { limit: 3, backoffMs: 10 },
};

function ours(definition) {
  const process = new WorkerProcess(OUR_OPTIONS);
  process.on('deadLetter', ignore);
  process.on('retry', ignore);
  process.register(TYPE, definition);
  return faceOf(process);
}

function faceOf(process) {
  return {
    process,
    push: (item) => process.offer(TYPE, item),
    pause: () => process.pause(TYPE),
    resume: () => process.resume(TYPE),
  };
}

/** @type {Record<string, (handler: { one: Function, many: Function, isAsync: boolean }) => Contender | Promise<Contender>>} */
export const contenders = {
  'ours, offer': ({ one }) => ours({ processItem: one }),

  'ours, one bulk call': ({ one }) => {
    const contender = ours({ processItem: one });
    return { ...contender, pushAll: (items) => contender.process.distributeWork(TYPE, items) };
  },

  'ours, awaited call an item': ({ one }) => {
    const contender = ours({ processItem: one });
    const pushAll = async (items) => {
      for (let i = 0; i < items.length; i++) await contender.process.distributeWork(TYPE, items[i]);
    };
    return { ...contender, pushAll };
  },

  'ours, through Nest': async ({ one }) => {
    const process = await startNestApplication({ type: TYPE, options: OUR_OPTIONS, processItem: one });
    return { ...faceOf(process), pushAll: (items) => process.distributeWork(TYPE, items) };
  },

  'ours, batches, offer': ({ many }) => ours({ processBatch: many, batchSize: BATCH_SIZE }),

  'ours, batches, one bulk call': ({ many }) => {
    const contender = ours({ processBatch: many, batchSize: BATCH_SIZE });
    return { ...contender, pushAll: (items) => contender.process.distributeWork(TYPE, items) };
  },

  fastq: ({ one, isAsync }) => {
    const worker = isAsync
      ? (item, done) => void one(item).then(() => done(null), done)
      : (item, done) => {
          one(item);
          done(null);
        };
    const queue = fastq(worker, CONCURRENCY);
    return { push: (item) => queue.push(item), pause: () => queue.pause(), resume: () => queue.resume() };
  },

  'fastq.promise': ({ one }) => {
    const queue = fastq.promise(async (item) => one(item), CONCURRENCY);
    return { push: (item) => queue.push(item), pause: () => queue.pause(), resume: () => queue.resume() };
  },

  'p-queue': ({ one }) => {
    const queue = new PQueue({ concurrency: CONCURRENCY });
    return {
      push: (item) => queue.add(() => one(item)),
      pause: () => queue.pause(),
      resume: () => queue.start(),
    };
  },

  'async.queue': ({ one, isAsync }) => {
    const worker = isAsync
      ? async (item) => one(item)
      : (item, done) => {
          one(item);
          done(null);
        };
    const queue = asyncQueue(worker, CONCURRENCY);
    return {
      push: (item) => queue.push(item, ignore),
      pause: () => queue.pause(),
      resume: () => queue.resume(),
    };
  },

  'async.cargoQueue': ({ many, isAsync }) => {
    const worker = isAsync
      ? async (items) => many(items)
      : (items, done) => {
          many(items);
          done(null);
        };
    const queue = cargoQueue(worker, CONCURRENCY, BATCH_SIZE);
    return {
      push: (item) => queue.push(item, ignore),
      pause: () => queue.pause(),
      resume: () => queue.resume(),
    };
  },

  dataloader: ({ many }) => {
    const loader = new DataLoader(
      async (items) => {
        await many(items);
        return Array.from(items, () => null);
      },
      { cache: false, maxBatchSize: BATCH_SIZE },
    );
    return { push: (item) => loader.load(item), pause: ignore, resume: ignore };
  },

  'bare loop': ({ one, isAsync }) => ({
    push: (item) => one(item),
    pushAll: async (items) => {
      for (let i = 0; i < items.length; i++) {
        if (isAsync) await one(items[i]);
        else one(items[i]);
      }
    },
    pause: ignore,
    resume: ignore,
  }),
};
