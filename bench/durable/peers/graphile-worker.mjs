import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import { slicesOf } from '../items.mjs';

const TASK = 'item';
const BULK = 1_000;
const CONCURRENCY = 50;
const LOCAL_QUEUE = 500;
const CONNECTIONS = 10;

/** With what its documentation names for speed: a local queue, and completions written together. */
export async function graphileWorker({ url, handle }) {
  const logger = new Logger(() => () => undefined);
  const utils = await makeWorkerUtils({ connectionString: url, logger });
  await utils.migrate();
  let runner;
  return {
    async pushAll(items) {
      for (const slice of slicesOf(items, BULK))
        await utils.addJobs(slice.map((payload) => ({ identifier: TASK, payload })));
    },
    push: (item) => utils.addJob(TASK, item),
    async consume() {
      const worker = {
        connectionString: url,
        concurrentJobs: CONCURRENCY,
        maxPoolSize: CONNECTIONS,
        pollInterval: 1_000,
        localQueue: { size: LOCAL_QUEUE },
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
      };
      const taskList = { [TASK]: (payload) => handle(payload) };
      runner = await run({ taskList, logger, noHandleSignals: true, preset: { worker } });
    },
    hold: async () => undefined,
    async stop() {
      await runner?.stop();
      await utils.release();
    },
  };
}
