import { redisEngine } from '../../../dist/bullmq.js';
import { WorkerProcess } from '../../../dist/index.js';

export const TYPE = 'item';

/** As a service would have it: a time limit, three retries, dead letters, and somebody who listens. */
export function makeProcess({ url, handle }) {
  const jobs = new WorkerProcess({
    engine: redisEngine({ url, prefix: 'bench' }),
    maxConcurrency: 10,
    autoStart: false,
  });
  jobs.on('deadLetter', () => undefined);
  jobs.on('retry', () => undefined);
  jobs.register(TYPE, {
    processItem: handle,
    timeoutMs: 30_000,
    retry: { limit: 3, backoffMs: 100 },
  });
  return jobs;
}

export async function ours(input) {
  const jobs = makeProcess(input);
  return {
    pushAll: (items) => jobs.distributeWork(TYPE, items),
    push: (item) => jobs.distributeWork(TYPE, item),
    consume: () => jobs.start(),
    hold: async () => {
      await jobs.start();
      await jobs.pause(TYPE);
    },
    stop: () => jobs.shutdown(),
  };
}
