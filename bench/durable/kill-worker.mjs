// A worker of ours that is killed, or that takes over: node kill-worker.mjs '{"url": …, "file": …, "items": …}'
import { makeProcess, TYPE } from './contenders/ours.mjs';
import { makeItems } from './items.mjs';
import { openRunsFile } from './runs-file.mjs';

const { url, file, items } = JSON.parse(process.argv[2]);
process.once('disconnect', () => process.exit(1));

const writeDown = openRunsFile(file);
const jobs = makeProcess({ url, handle: async ({ id }) => writeDown(id) });
await jobs.start();
if (items > 0) await jobs.distributeWork(TYPE, makeItems(items));
await jobs.waitForCompletion(TYPE);
await jobs.shutdown();
process.exit(0);
