// What a kill -9 in the middle of the work costs: node kill.mjs '{"url": …, "items": …}', prints the result as JSON.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { activeJobs, emptyStore } from './empty-store.mjs';
import { BYTES_PER_RUN } from './runs-file.mjs';

const PROGRAM = new URL('./kill-worker.mjs', import.meta.url).pathname;
const KILL_AT_SHARE = 0.3;
const POLL_MS = 2;

const { url, items } = JSON.parse(process.argv[2]);
const folder = await mkdtemp(path.join(tmpdir(), 'bench-kill-'));
try {
  await emptyStore(url);
  process.stdout.write(JSON.stringify(await measure()));
} finally {
  await rm(folder, { recursive: true });
}

async function measure() {
  const [killedFile, secondFile] = ['killed', 'second'].map((name) => path.join(folder, name));
  const killed = start({ url, file: killedFile, items });
  const killedEnd = once(killed, 'exit');
  while ((await sizeOf(killedFile)) < items * KILL_AT_SHARE * BYTES_PER_RUN) {
    if (killed.exitCode !== null)
      throw new Error(`The worker ended before it was killed: ${killed.exitCode}`);
    await delay(POLL_MS);
  }
  killed.kill('SIGKILL');
  await killedEnd;
  const killedAtMs = performance.now();
  const chunksInFlight = await activeJobs(url);

  const [code] = await once(start({ url, file: secondFile, items: 0 }), 'exit');
  if (code !== 0) throw new Error(`The second worker ended with exit code ${code}`);
  const before = new Set(await runsIn(killedFile));
  const after = await runsIn(secondFile);
  return {
    chunksInFlight,
    runBefore: before.size,
    runAfter: after.length,
    runTwice: after.filter((id) => before.has(id)).length,
    doneAfterMs: performance.now() - killedAtMs,
  };
}

/** It ends with this process, by its channel. */
function start(input) {
  return fork(PROGRAM, [JSON.stringify(input)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
}

async function sizeOf(file) {
  const stats = await stat(file).catch(() => undefined);
  return stats?.size ?? 0;
}

async function runsIn(file) {
  const bytes = await readFile(file);
  const count = Math.floor(bytes.length / BYTES_PER_RUN);
  return Array.from({ length: count }, (_, run) => bytes.readUInt32LE(run * BYTES_PER_RUN));
}
