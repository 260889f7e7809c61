// Builds, one build at a time. The compiler writes files in place: a service that starts while another build goes on
// would read half of one. The second build finds everything up to date, and writes nothing.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const LOCK = 'node_modules/.build-lock';
const POLL_MS = 50;

await acquireLock();
try {
  const { status } = spawnSync(process.execPath, ['node_modules/@nestjs/cli/bin/nest.js', 'build'], {
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
} finally {
  rmSync(LOCK, { recursive: true, force: true });
}

async function acquireLock() {
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
  }
}

/** A build that was killed leaves its lock behind. */
function ownerIsGone() {
  try {
    process.kill(Number(readFileSync(`${LOCK}/pid`, 'utf8')), 0);
    return false;
  } catch (error) {
    // Without the file, its owner is just about to write it.
    return error.code === 'ESRCH';
  }
}
