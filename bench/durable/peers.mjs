// Peers that need a newer Node than the project does, and that Node: installed in a folder of their own when they are needed,
// so that the project's own installation stays small.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const FOLDER = fileURLToPath(new URL('./peers', import.meta.url));
const LOCK_FILE = path.join(FOLDER, 'package-lock.json');
/** What was installed last. */
const INSTALLED_FILE = path.join(FOLDER, 'node_modules/.installed-lock.json');
const OLDEST_MAJOR = 22;

/** Installs pg-boss, graphile-worker and a Node that they run on, unless they are there. */
export async function installPeers() {
  const installed = await readFile(INSTALLED_FILE, 'utf8').catch(() => undefined);
  if (installed === (await readFile(LOCK_FILE, 'utf8'))) return;
  process.stderr.write(`installing pg-boss, graphile-worker and Node ${OLDEST_MAJOR} into ${FOLDER}\n`);
  try {
    await promisify(execFile)('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: FOLDER });
  } catch (error) {
    throw new Error(
      `The peers could not be installed: npm ci in ${FOLDER} failed. ` +
        `With --quick, the benchmark runs without them.\n${error.stderr || error.message}`,
      { cause: error },
    );
  }
  await copyFile(LOCK_FILE, INSTALLED_FILE);
}

/** The Node that everybody is measured with: this one, where it is new enough for all. */
export function nodeForPeers() {
  if (Number.parseInt(process.versions.node, 10) >= OLDEST_MAJOR) return process.execPath;
  const node = path.join(FOLDER, `node_modules/node-${process.platform}-${process.arch}/bin/node`);
  if (existsSync(node)) return node;
  throw new Error(
    `pg-boss and graphile-worker need Node ${OLDEST_MAJOR} or later; this is ${process.version}, and there is none from npm ` +
      `for ${process.platform}-${process.arch}. Start the benchmark with a newer Node, or with --quick without them.`,
  );
}

/** This same program by another Node. @returns its exit code */
export async function runAgainWith(node) {
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit' });
  const forward = (signal) => child.kill(signal);
  // Ctrl-C reaches both by itself: waiting here lets the other one end in order.
  process.on('SIGINT', () => undefined).on('SIGTERM', forward);
  const [code] = await once(child, 'exit');
  return code ?? 1;
}
