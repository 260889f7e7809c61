// Builds, one build at a time. The compiler writes files in place: a service that starts while another build goes on
// would read half of one. The second build finds everything up to date, and writes nothing.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { staleFiles } from './stale-files.mjs';

const LOCK = 'node_modules/.build-lock';
const POLL_MS = 50;
/** Longer than it takes to write a file: a lock without its owner's number after this was left by one that was killed. */
const WRITING_MS = 2_000;
const TELL_AFTER_MS = 5_000;

await acquireLock();
try {
  const { status } = spawnSync(process.execPath, ['node_modules/@nestjs/cli/bin/nest.js', 'build'], {
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
  if (status === 0) removeStale();
} finally {
  rmSync(LOCK, { recursive: true, force: true });
}

/** What the compiler does not write any more would be packed all the same. */
function removeStale() {
  for (const file of staleFiles(filesIn('dist'), filesIn('src'))) rmSync(path.join('dist', file));
}

function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)));
}

async function acquireLock() {
  let tellAtMs = Date.now() + TELL_AFTER_MS;
  for (;;) {
    try {
      mkdirSync(LOCK);
      writeFileSync(`${LOCK}/pid`, String(process.pid));
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (ownerIsGone()) rmSync(LOCK, { recursive: true, force: true });
    else await delay(POLL_MS);
    if (Date.now() < tellAtMs) continue;
    console.error(`Waiting for another build to end; if there is none, remove ${LOCK}`);
    tellAtMs = Infinity;
  }
}

/** A build that was killed leaves its lock behind. */
function ownerIsGone() {
  try {
    process.kill(Number(readFileSync(`${LOCK}/pid`, 'utf8')), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH' || (error.code === 'ENOENT' && ageMs() > WRITING_MS);
  }
}

/** Milliseconds since the lock was made; 0 when it is gone. */
function ageMs() {
  const lock = statSync(LOCK, { throwIfNoEntry: false });
  return lock === undefined ? 0 : Date.now() - lock.mtimeMs;
}
