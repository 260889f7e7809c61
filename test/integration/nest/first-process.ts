import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const TYPESCRIPT = new URL('../../support/typescript.mjs', import.meta.url).href;
const UNSHARE = 'unshare';
const APART = ['--pid', '--fork', '--kill-child'];

/** Whether this machine lets a process be the first one of a namespace of its own, as in a container. */
export const mayBeFirstProcess = spawnSync(UNSHARE, [...APART, 'true']).status === 0;

/** Runs a TypeScript file as process 1, as in a container. */
export function startAsFirstProcess(file: URL, args: readonly string[]) {
  const child = spawn(
    UNSHARE,
    [...APART, process.execPath, '--import', TYPESCRIPT, fileURLToPath(file), ...args],
    { detached: true, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = once(child, 'close') as Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    nextLine: async () => (await lines.next()).value as string | undefined,
    /** `unshare` itself does not heed SIGTERM and SIGINT; it ends with the code of the process. */
    signalGroup: (signal: NodeJS.Signals) => process.kill(-child.pid!, signal),
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
    ended,
  };
}
